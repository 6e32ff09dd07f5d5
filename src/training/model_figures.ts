import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { modelRecordSchema } from "./pretrain_model.js";

/** Figures of a base model by what they are of: shares answered right, and perplexities. */
export type ModelFigures = Readonly<Record<string, number>>;

/** What the record of a base model made by a recipe says it knows; null for models of another origin. */
export async function readModelFigures(folder: string): Promise<ModelFigures | null> {
  let record: unknown;
  try {
    record = JSON.parse(await readFile(join(folder, "record.json"), "utf8"));
  } catch {
    return null;
  }
  const parsed = modelRecordSchema.safeParse(record);
  if (!parsed.success) return null;
  const { recall, accuracy, perplexity } = parsed.data;
  return {
    ...(recall && { "taught wordings": recall.wordings }),
    ...Object.fromEntries(
      accuracy.map(({ dataset, split, recall: of }) => [`${dataset} ${split}`, of.wordings] as const),
    ),
    ...Object.fromEntries(perplexity.map(({ split, value }) => [`perplexity, ${split}`, value] as const)),
  };
}
