import { z } from "zod";
import { readAssetRows } from "./assets.js";
import type { Split } from "./types.js";

const passageSchema = z.strictObject({
  id: z.string(),
  /** The article. */
  group: z.string(),
  split: z.enum(["train", "validation", "test"]),
  text: z.string().min(1),
});
export type Passage = z.infer<typeof passageSchema>;

/** The embedded passages of Wikipedia articles (docs/data.md), by split. Throws DATA_INVALID if they are damaged. */
export async function loadPassages(root?: string): Promise<Readonly<Record<Split, readonly Passage[]>>> {
  const passages = await readAssetRows("wikipedia/passages.jsonl.gz", passageSchema, root);
  const of = (split: Split): Passage[] => passages.filter((passage) => passage.split === split);
  return { train: of("train"), validation: of("validation"), test: of("test") };
}
