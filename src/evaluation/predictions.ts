/** Answers that another system gave to the questions of a file: read, checked and scored by text alone. */
import { z } from "zod";
import { scheduleName } from "../config/evaluation.js";
import { parseJsonLines } from "../data/json_lines.js";
import { Problems } from "../data/problems.js";
import type { BootstrapOptions } from "../metrics/bootstrap.js";
import type { EditOutcome, InScopeOutcome, OutScopeOutcome } from "../metrics/outcomes.js";
import { computeMetrics, type MetricName } from "../metrics/registry.js";
import { matchesAny, matchesAnyStrict } from "../metrics/text.js";
import { type AnswerLine, textAnswerLine } from "./answer_lines.js";
import type { ElsewhereFigures } from "./elsewhere_record.js";
import { present } from "./present.js";
import type { NamedQuestion, QuestionCell, QuestionEpisode } from "./question_file.js";

const predictionSchema = z.strictObject({
  /** Of the question. */
  id: z.string().min(1),
  answer: z.string(),
  /** What the same system said before any edit: on every line or on none. */
  base: z.string().optional(),
});

export interface Predictions {
  /** By the question's id. */
  readonly answers: ReadonlyMap<string, string>;
  /** Null where the file holds none. */
  readonly base: ReadonlyMap<string, string> | null;
}

/**
 * @throws SeprogError DATA_INVALID in one list, with `file:line`: bad lines, ids of no question, ids that come twice,
 *   questions without an answer, and lines without `base` where others have one
 */
export async function readPredictions(
  path: string,
  episodes: readonly QuestionEpisode[],
): Promise<Predictions> {
  const problems = new Problems();
  const questions = new Map(
    episodes.flatMap((one) => one.questions.map((question) => [question.id, question])),
  );
  const lineOf = new Map<string, number>();
  const answers = new Map<string, string>();
  const base = new Map<string, string>();
  for await (const { number, value } of parseJsonLines(path, predictionSchema, problems)) {
    const { id } = value;
    const earlier = lineOf.get(id);
    const place = `${path}:${number}`;
    if (!questions.has(id)) problems.add(place, `\`id\`: expected that of a question but received "${id}"`);
    else if (earlier !== undefined)
      problems.add(place, `\`id\`: expected one answer to "${id}" but another is at line ${earlier}`);
    else {
      lineOf.set(id, number);
      answers.set(id, value.answer);
      if (value.base !== undefined) base.set(id, value.base);
    }
  }
  for (const { id, place } of questions.values())
    if (!answers.has(id)) problems.add(place, `expected an answer to "${id}" in ${path} but received none`);
  if (base.size > 0)
    for (const [id, number] of lineOf)
      if (!base.has(id))
        problems.add(`${path}:${number}`, "`base`: expected on every line or on none but received none");
  problems.throwIfAny(path);
  return { answers, base: base.size > 0 ? base : null };
}

export interface ScoredCell extends ElsewhereFigures {
  readonly lines: readonly AnswerLine[];
}

/** Metrics of generated text, and those of them that need the unedited model's answers. */
const TEXT_METRICS: readonly MetricName[] = ["ES", "ESstrict", "ESself", "ESall", "ESnoisy", "DDgold"];
const BASE_METRICS: readonly MetricName[] = [
  "ESbase",
  "ESchanged",
  "ESgained",
  "DD",
  "DDstrict",
  "DDhard",
  "errBase",
  "baseAccuracy",
];

/** ES, DD and what else text alone can tell; without base answers only what needs none. */
export function scorePredictions(
  method: string,
  { dataset, K, sequential, episodes }: QuestionCell,
  { answers, base }: Predictions,
  bootstrap: BootstrapOptions,
): ScoredCell {
  const place = { method, dataset, K, seed: null, schedule: scheduleName(sequential) };
  const said = ({ id }: NamedQuestion) => ({
    edited: present(answers.get(id)),
    base: base && present(base.get(id)),
  });
  const lines = episodes.flatMap(({ edits, questions }, episode) =>
    questions.map((question) => {
      const editId = present(edits[question.edit]).id;
      return textAnswerLine(question, said(question), { ...place, episode, editId });
    }),
  );
  const outcomes = episodes.flatMap((episode, index) => outcomesOf(episode, index, said));
  const all = computeMetrics(outcomes, bootstrap);
  const names = base === null ? TEXT_METRICS : [...TEXT_METRICS, ...BASE_METRICS];
  return {
    nEdits: outcomes.length,
    figures: Object.fromEntries(names.map((name) => [name, all[name]])),
    lines,
  };
}

type Said = (question: NamedQuestion) => { readonly edited: string; readonly base: string | null };

function outcomesOf({ edits, questions }: QuestionEpisode, episode: number, said: Said): EditOutcome[] {
  return [...edits.keys()].map((edit) => {
    const own = questions.filter((question) => question.edit === edit);
    const inScope = (kind: NamedQuestion["group"]): InScopeOutcome[] =>
      own.filter(({ group }) => group === kind).map((question) => inScopeOutcome(question, said(question)));
    const outScope = (kind: NamedQuestion["group"]): OutScopeOutcome[] =>
      own.filter(({ group }) => group === kind).map((question) => outScopeOutcome(question, said(question)));
    return {
      episode,
      edit,
      self: present(inScope("self")[0]),
      inScope: inScope("inScope"),
      noisy: inScope("noisy"),
      outScope: outScope("outScope"),
      hard: outScope("hard"),
    };
  });
}

/** Text says nothing of target tokens: the metrics over them are not among those that are computed. */
const NO_TOKENS = { tokens: 0 } as const;

function inScopeOutcome({ accepted }: NamedQuestion, { edited, base }: ReturnType<Said>): InScopeOutcome {
  return {
    match: matchesAny(edited, accepted),
    baseMatch: base !== null && matchesAny(base, accepted),
    matchStrict: matchesAnyStrict(edited, accepted),
    teacherForced: false,
    negLogLik: 0,
    ...NO_TOKENS,
  };
}

function outScopeOutcome({ accepted }: NamedQuestion, { edited, base }: ReturnType<Said>): OutScopeOutcome {
  return {
    same: base !== null && matchesAny(edited, [base]),
    sameStrict: base !== null && matchesAnyStrict(edited, [base]),
    goldMatch: matchesAny(edited, accepted),
    baseGoldMatch: base !== null && matchesAny(base, accepted),
    teacherForcedSame: false,
    kl: 0,
    ...NO_TOKENS,
  };
}
