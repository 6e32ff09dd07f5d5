/** Group key of a subject or question: compatibility form, lower case, letters and digits only. */
export function groupKey(text: string): string {
  const key = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, "");
  return key === "" ? text : key;
}

/** One line, single blanks, composed characters. */
export function cleanText(text: string): string {
  return text.normalize("NFC").replace(/\s+/gu, " ").trim();
}

/** Whether two answers are the same but for case, blanks and punctuation. */
export function sameAnswer(a: string, b: string): boolean {
  return groupKey(a) === groupKey(b);
}
