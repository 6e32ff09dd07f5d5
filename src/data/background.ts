import { z } from "zod";
import { SeprogError } from "../errors.js";
import { readAssetRows } from "./assets.js";

/** Statements that a data set's entailed pairs follow from, together with its edits. */
const BACKGROUNDS: Readonly<Record<string, string>> = {
  leapofthought: "leapofthought/background.jsonl.gz",
};

const statementSchema = z.strictObject({ x: z.string().min(1), y: z.string().min(1) });
export type Statement = z.infer<typeof statementSchema>;

/**
 * What the edits of an embedded data set build on, none of it an edit or an entailed pair (docs/data.md).
 * @throws SeprogError CONFIG_INVALID for a data set without background, DATA_INVALID if the file is damaged
 */
export async function loadBackground(dataset: string, root?: string): Promise<Statement[]> {
  const path = Object.hasOwn(BACKGROUNDS, dataset) ? BACKGROUNDS[dataset] : undefined;
  if (path === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected one of ${Object.keys(BACKGROUNDS).join(", ")} for a data set with \`background\` but received "${dataset}"`,
    );
  return readAssetRows(path, statementSchema, root);
}
