import { loadJsonl } from "../data/datasets/jsonl.js";
import { SeprogError } from "../errors.js";
import type { Edit } from "../evaluation/plain_edits.js";

/** The edits that arguments ask for: one pair, or a file. Throws CONFIG_INVALID unless exactly one is given. */
export async function readEditRequests({
  question,
  answer,
  from,
}: {
  readonly question?: string | undefined;
  readonly answer?: string | undefined;
  readonly from?: string | undefined;
}): Promise<Edit[]> {
  if (from !== undefined && question === undefined) {
    const { splits } = await loadJsonl(from, { split: "test" });
    return [...splits.train, ...splits.validation, ...splits.test].map(({ x_e, y_e_options }) => ({
      question: x_e,
      answer: y_e_options[0] ?? "",
    }));
  }
  if (from === undefined && question?.trim() && answer?.trim()) return [{ question, answer }];
  throw new SeprogError(
    "CONFIG_INVALID",
    'expected either "question" "answer" or --from FILE.jsonl but received neither or both',
  );
}

/** `question=answer`, split at the last `=`. Throws CONFIG_INVALID. */
export function parseInlineEdit(text: string): Edit {
  const at = text.lastIndexOf("=");
  const question = text.slice(0, Math.max(0, at)).trim();
  const answer = text.slice(at + 1).trim();
  if (at > 0 && question !== "" && answer !== "") return { question, answer };
  throw new SeprogError("CONFIG_INVALID", `expected question=answer for \`--edit\` but received "${text}"`);
}
