import { z } from "zod";
import { readAsset, readAssetRows } from "../assets.js";
import { toDataset } from "../splits.js";
import { groupKey } from "../text.js";
import { COPY, type Dataset, type EditRecord } from "../types.js";

const factSchema = z.strictObject({
  id: z.string(),
  relation: z.string(),
  subject: z.string(),
  object: z.string(),
  target_new: z.string(),
  prompt: z.string(),
  rephrase_noisy: z.string(),
  locality: z.strictObject({ subject: z.string(), prompt: z.string(), answer: z.string() }).optional(),
  split: z.enum(["train", "validation", "test"]),
});

export type CounterfactFact = z.infer<typeof factSchema>;

/** Relation id → cloze templates: `[X]` is the subject, `_` the answer; no `_`, the answer comes last. */
const templatesSchema = z.record(z.string(), z.array(z.string()));

function toRecord(fact: CounterfactFact, templates: readonly string[]): EditRecord {
  const rephrases = templates
    .map((template) => template.replace("[X]", () => fact.subject))
    .filter((text) => text !== fact.prompt);
  const { locality } = fact;
  return {
    id: fact.id,
    group: groupKey(fact.subject),
    x_e: fact.prompt,
    y_e_options: [fact.target_new],
    in_scope: rephrases.map((x) => ({ x, y: COPY })),
    in_scope_noisy: [{ x: fact.rephrase_noisy, y: COPY }],
    entailed: [],
    hard_out: locality
      ? [{ x: locality.prompt, y_gold: [locality.answer], group: groupKey(locality.subject) }]
      : [],
    x_loc: fact.prompt,
    y_loc: [fact.object],
    relation: fact.relation,
    split: fact.split,
  };
}

/**
 * CounterFact (Meng et al. 2022) with ParaRel's templates (Elazar et al. 2021) as clean rephrases, embedded.
 * Hard out-of-scope: CounterFact's neighbourhood prompts.
 * @throws SeprogError DATA_INVALID if the embedded files are damaged
 */
export async function loadCounterfact({ root }: { readonly root?: string } = {}): Promise<Dataset> {
  const templates = templatesSchema.parse(JSON.parse(await readAsset("counterfact/templates.json", root)));
  const facts = await readAssetRows("counterfact/facts.jsonl.gz", factSchema, root);
  return toDataset(
    "counterfact",
    facts.map((fact) => toRecord(fact, templates[fact.relation] ?? [])),
  );
}
