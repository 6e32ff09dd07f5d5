/**
 * Group key of a subject or question: records with the same key never stand in two splits, nor in one episode as
 * edit and as out-of-scope example. Compatibility form, lower case, letters and digits only.
 */
export function groupKey(text) {
  const key = text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, "");
  return key === "" ? text : key;
}

/** One line, single blanks, composed characters: what every text of the embedded data sets goes through. */
export function cleanText(text) {
  return text.normalize("NFC").replace(/\s+/gu, " ").trim();
}
