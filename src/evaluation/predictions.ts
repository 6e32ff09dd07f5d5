/** Answers that another system gave to the questions of a file: read, checked and judged by text alone. */
import { z } from "zod";
import { parseJsonLines } from "../data/json_lines.js";
import { Problems } from "../data/problems.js";
import { matchesAny, matchesAnyStrict } from "../metrics/text.js";
import { present } from "./present.js";
import type { NamedQuestion, QuestionCell, QuestionEpisode } from "./question_file.js";
import type { EditRecordLine, InScopeProbe, OutScopeProbe } from "./records.js";

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

type Said = (question: NamedQuestion) => { readonly edited: string; readonly base: string | null };

/** The record lines of a cell that was answered by text alone: of target tokens nothing is known. */
export function predictionLines(
  { episodes }: QuestionCell,
  { answers, base }: Predictions,
): EditRecordLine[] {
  const said: Said = ({ id }) => ({
    edited: present(answers.get(id)),
    base: base && present(base.get(id)),
  });
  return episodes.flatMap((episode, index) => episodeLines(episode, index, said));
}

function episodeLines({ edits, questions }: QuestionEpisode, episode: number, said: Said): EditRecordLine[] {
  return edits.map(({ id, x_e, y_e }, edit) => {
    const own = questions.filter((question) => question.edit === edit);
    const inScope = (kind: NamedQuestion["group"]): InScopeProbe[] =>
      own.filter(({ group }) => group === kind).map((question) => inScopeProbe(question, said(question)));
    const outScope = (kind: NamedQuestion["group"]): OutScopeProbe[] =>
      own.filter(({ group }) => group === kind).map((question) => outScopeProbe(question, said(question)));
    return {
      episode,
      edit,
      id,
      question: x_e,
      answer: y_e,
      self: present(inScope("self")[0]),
      inScope: inScope("inScope"),
      noisy: inScope("noisy"),
      outScope: outScope("outScope"),
      hard: outScope("hard"),
    };
  });
}

function inScopeProbe({ x, accepted }: NamedQuestion, { edited, base }: ReturnType<Said>): InScopeProbe {
  return {
    input: x,
    base,
    edited,
    expected: [...accepted],
    match: matchesAny(edited, accepted),
    baseMatch: base === null ? null : matchesAny(base, accepted),
    matchStrict: matchesAnyStrict(edited, accepted),
    teacherForced: null,
    negLogLik: null,
    tokens: null,
  };
}

function outScopeProbe({ x, accepted }: NamedQuestion, { edited, base }: ReturnType<Said>): OutScopeProbe {
  return {
    input: x,
    base,
    edited,
    gold: [...accepted],
    same: base === null ? null : matchesAny(edited, [base]),
    sameStrict: base === null ? null : matchesAnyStrict(edited, [base]),
    goldMatch: matchesAny(edited, accepted),
    baseGoldMatch: base === null ? null : matchesAny(base, accepted),
    teacherForcedSame: null,
    kl: null,
    tokens: null,
  };
}
