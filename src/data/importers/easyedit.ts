import { z } from "zod";
import { fromMend, mendSchema } from "../datasets/zsre_formats.js";
import { cleanText, groupKey, sameAnswer } from "../text.js";
import { COPY, type OutScopePair } from "../types.js";
import { type ImportedRow, type Layout, rowLayout } from "./layout.js";
import { entailedPairs, oneHopQuestions, oneHopSchema, type PortabilityQuestion } from "./portability.js";

const text = z.string().refine((value) => value.trim() !== "", "expected a text but received only blanks");
/** Answers come as a text, a list of texts or a list of lists of names. */
const answers = z
  .union([z.string(), z.array(z.union([z.string(), z.array(z.string())]))])
  .transform((given) => [given].flat(2));
const texts = z.union([z.array(z.string()), z.string().transform((one) => [one])]);

const clean = (given: readonly string[]): string[] => [
  ...new Set(given.map(cleanText).filter((one) => one !== "")),
];

interface Parts {
  readonly prompt: string;
  readonly subject: string;
  readonly target: string;
  readonly gold: readonly string[];
  readonly rephrases: readonly string[];
  /** Rephrases with other text around them. */
  readonly noisy?: readonly string[];
  readonly near: readonly { readonly prompt: string; readonly answers: readonly string[] }[];
  readonly portability: readonly PortabilityQuestion[];
  readonly omitted?: readonly string[];
}

const GIVES_AWAY = "locality question whose answer is the edited one";
const UNANSWERED = "locality question without an answer";

/** The row as a record; locality questions are what the edit must leave alone. */
function toRow(parts: Parts): ImportedRow {
  const x_e = cleanText(parts.prompt);
  const label = cleanText(parts.target);
  const gold = clean(parts.gold);
  const { entailed, omitted: unasked } = entailedPairs(x_e, parts.portability);
  const omitted = [...(parts.omitted ?? []), ...unasked];
  if (label === "") return { outcome: "no new answer", omitted };
  if (gold.some((answer) => sameAnswer(answer, label)))
    return { outcome: "the new answer is the true one", omitted };
  const asksOtherwise = (x: string): boolean => groupKey(x) !== groupKey(x_e);
  const copies = (given: readonly string[]) =>
    clean(given)
      .filter(asksOtherwise)
      .map((x) => ({ x, y: COPY }));
  const hard_out = parts.near.flatMap(({ prompt, answers: given }): OutScopePair[] => {
    const x = cleanText(prompt);
    const y_gold = clean(given);
    if (x !== "" && y_gold.length > 0) {
      if (!y_gold.some((answer) => sameAnswer(answer, label)) && asksOtherwise(x)) return [{ x, y_gold }];
      omitted.push(GIVES_AWAY);
    } else omitted.push(UNANSWERED);
    return [];
  });
  const subject = cleanText(parts.subject);
  return {
    outcome: {
      record: {
        x_e,
        y_e_options: [label],
        in_scope: copies(parts.rephrases),
        in_scope_noisy: copies(parts.noisy ?? []),
        entailed,
        hard_out,
        x_loc: x_e,
        y_loc: gold,
      },
      keys: [groupKey(x_e), ...(subject === "" ? [] : [groupKey(subject)])],
    },
    omitted,
  };
}

/** One for each, so that they are counted. */
const times = (what: string, count: number): string[] => Array.from({ length: count }, () => what);

/** Its pairs of Natural Questions are about anything; other records serve as out-of-scope questions. */
const RANDOM_LOCALITY = "locality question about something else";

const zsre = rowLayout({
  format: "easyedit",
  title: "zsRE as released with ROME and EasyEdit",
  container: "array",
  keys: ["src", "alt", "answers", "rephrase"],
  schema: mendSchema.extend({ loc: z.string().optional(), portability: oneHopSchema }),
  toRow: (row) => {
    const outcome = fromMend(row);
    const omitted = times(RANDOM_LOCALITY, row.loc === undefined ? 0 : 1);
    if (typeof outcome === "string") return { outcome, omitted };
    const { entailed, omitted: unasked } = entailedPairs(
      outcome.record.x_e,
      oneHopQuestions(row.portability),
    );
    return {
      outcome: { ...outcome, record: { ...outcome.record, entailed } },
      omitted: [...omitted, ...unasked],
    };
  },
});

const counterfact = rowLayout({
  format: "easyedit",
  title: "CounterFact as EasyEdit holds it",
  container: "array",
  keys: ["prompt", "target_new", "ground_truth", "rephrase_prompt", "locality_prompt"],
  schema: z.looseObject({
    prompt: text,
    subject: z.string(),
    target_new: z.string(),
    ground_truth: answers,
    rephrase_prompt: texts,
    locality_prompt: texts,
    locality_ground_truth: answers,
    portability: oneHopSchema,
  }),
  toRow: (row) =>
    toRow({
      prompt: row.prompt,
      subject: row.subject,
      target: row.target_new,
      gold: row.ground_truth,
      rephrases: [],
      noisy: row.rephrase_prompt,
      near: row.locality_prompt.map((prompt) => ({ prompt, answers: row.locality_ground_truth })),
      portability: oneHopQuestions(row.portability),
    }),
});

const target = z.looseObject({ str: z.string() });

const originalCounterfact = rowLayout({
  format: "easyedit",
  title: "CounterFact as released with ROME (counterfact.json, multi_counterfact.json)",
  container: "array",
  keys: ["requested_rewrite.prompt", "requested_rewrite.target_new", "paraphrase_prompts"],
  schema: z.looseObject({
    requested_rewrite: z.looseObject({
      prompt: text,
      subject: z.string(),
      target_new: target,
      target_true: target,
      relation_id: z.string().optional(),
    }),
    paraphrase_prompts: z.array(z.string()),
    neighborhood_prompts: z.array(z.string()).default([]),
    portability: oneHopSchema,
  }),
  toRow: ({ requested_rewrite: rewrite, paraphrase_prompts, neighborhood_prompts, portability }) => {
    const row = toRow({
      prompt: rewrite.prompt.replace("{}", () => rewrite.subject),
      subject: rewrite.subject,
      target: rewrite.target_new.str,
      gold: [rewrite.target_true.str],
      rephrases: [],
      noisy: paraphrase_prompts,
      near: neighborhood_prompts.map((prompt) => ({ prompt, answers: [rewrite.target_true.str] })),
      portability: oneHopQuestions(portability),
    });
    const { outcome } = row;
    if (typeof outcome === "string" || rewrite.relation_id === undefined) return row;
    return {
      ...row,
      outcome: { ...outcome, record: { ...outcome.record, relation: rewrite.relation_id } },
    };
  },
});

const pair = z.looseObject({ prompt: texts, ground_truth: answers });
const pairs = z.array(pair).nullish();
const countOf = (list: z.output<typeof pairs>): number => list?.length ?? 0;

/** Prompts of a pair share its answers. */
const questionsOf = (list: z.output<typeof pairs>): PortabilityQuestion[] =>
  (list ?? []).flatMap(({ prompt, ground_truth }) =>
    prompt.map((one) => ({ prompt: one, answers: ground_truth })),
  );

const knowEditFields = z.looseObject({
  prompt: text,
  subject: z.string(),
  target_new: z.string(),
  ground_truth: answers.nullish(),
  rephrase_prompt: texts.optional(),
  rephrase: texts.optional(),
  portability: z
    .looseObject({ Reasoning: pairs, Subject_Aliasing: pairs, Logical_Generalization: pairs })
    .partial()
    .nullish(),
  locality: z.looseObject({ Relation_Specificity: pairs, Forgetfulness: pairs }).partial().nullish(),
});

/** An alias asks the same; what must be reasoned follows from the edit. */
function fromKnowEdit(row: z.output<typeof knowEditFields>): ImportedRow {
  const { portability, locality } = row;
  return toRow({
    prompt: row.prompt,
    subject: row.subject,
    target: row.target_new,
    gold: row.ground_truth ?? [],
    rephrases: [
      ...(row.rephrase_prompt ?? []),
      ...(row.rephrase ?? []),
      ...(portability?.Subject_Aliasing ?? []).flatMap(({ prompt }) => prompt),
    ],
    near: questionsOf(locality?.Relation_Specificity),
    portability: [
      ...questionsOf(portability?.Reasoning),
      ...questionsOf(portability?.Logical_Generalization),
    ],
    omitted: times("forgetfulness question", countOf(locality?.Forgetfulness)),
  });
}

const knowEdit = rowLayout({
  format: "easyedit",
  title: "KnowEdit's zsRE, wiki_recent and wiki_counterfact",
  container: "array",
  keys: ["subject", "prompt", "target_new", "locality"],
  schema: knowEditFields,
  toRow: fromKnowEdit,
});

const wikibio = rowLayout({
  format: "easyedit",
  title: "KnowEdit's WikiBio",
  container: "array",
  keys: ["text", "labels", "concept"],
  schema: z
    .looseObject({ text, labels: z.string(), concept: z.string() })
    .transform(({ text: prompt, labels, concept, ...rest }) => ({
      ...rest,
      prompt,
      target_new: labels,
      subject: concept,
    }))
    .pipe(knowEditFields),
  toRow: fromKnowEdit,
});

const wikiBigEdit = rowLayout({
  format: "easyedit",
  title: "WikiBigEdit",
  container: "array",
  keys: ["update", "ans", "rephrase"],
  schema: z.looseObject({
    subject: z.string(),
    update: text,
    ans: z.string(),
    rephrase: texts,
    personas: texts.nullish(),
    mhop: z.string().nullish(),
    mhop_ans: answers.nullish(),
    loc: z.string().nullish(),
    loc_ans: answers.nullish(),
  }),
  toRow: ({ loc, loc_ans, mhop, mhop_ans, ...row }) =>
    toRow({
      prompt: row.update,
      subject: row.subject,
      target: row.ans,
      gold: [],
      rephrases: row.rephrase,
      noisy: row.personas ?? [],
      near: loc ? [{ prompt: loc, answers: loc_ans ?? [] }] : [],
      portability: mhop ? [{ prompt: mhop, answers: mhop_ans ?? [] }] : [],
    }),
});

/** The more specific ones first. */
export const EASYEDIT_LAYOUTS: readonly Layout[] = [
  zsre,
  originalCounterfact,
  counterfact,
  knowEdit,
  wikibio,
  wikiBigEdit,
];
