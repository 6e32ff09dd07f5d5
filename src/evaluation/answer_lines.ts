/** The log that people read: one question a line, with what was asked of whom and what was said. */
import { z } from "zod";
import { QUESTION_KINDS } from "./question_file.js";
import type { EditRecordLine, InScopeProbe, OutScopeProbe } from "./records.js";

/** Where the question was asked. */
const cellShape = {
  /** Method, model folder or system whose answers they are. */
  method: z.string(),
  dataset: z.string(),
  K: z.int().positive(),
  /** Null where nothing was drawn at random. */
  seed: z.int().nullable(),
  schedule: z.string(),
} as const;

export const answerLineSchema = z.strictObject({
  ...cellShape,
  episode: z.int().nonnegative(),
  /** Position in its episode, and id, of the edit that the question is recorded under. */
  edit: z.int().nonnegative(),
  editId: z.string(),
  kind: z.enum(QUESTION_KINDS),
  /** Whether the edit should change the answer. */
  inScope: z.boolean(),
  question: z.string(),
  /** The requested answer in scope, the true ones out of scope. */
  gold: z.array(z.string()),
  /** What the unedited model says; null where it is not known. */
  base: z.string().nullable(),
  edited: z.string(),
  /** In scope the edited answer is the requested one, out of scope it is the base's; null where that is not known. */
  right: z.boolean().nullable(),
  /** The edited answer is among `gold`. */
  matchesGold: z.boolean(),
  /** The editor's decision; null for methods without one. `edit`: the edit attended to most. */
  gate: z.strictObject({ logit: z.number(), probability: z.number(), edit: z.int() }).nullable(),
  /** Under teacher forcing on the first gold answer: in scope every token is right, out of scope none changed. */
  teacherForced: z.boolean().nullable(),
});
export type AnswerLine = z.infer<typeof answerLineSchema>;

export type AnswerPlace = Pick<AnswerLine, "method" | "dataset" | "K" | "seed" | "schedule">;

const gateOf = ({ scope }: InScopeProbe | OutScopeProbe): AnswerLine["gate"] =>
  scope === undefined
    ? null
    : { logit: scope.logit, probability: 1 / (1 + Math.exp(-scope.logit)), edit: scope.selected };

/** The questions of an edit's record, one a line. */
export function answerLines(record: EditRecordLine, place: AnswerPlace): AnswerLine[] {
  const { episode, edit, id: editId } = record;
  const head = { ...place, episode, edit, editId };
  const inScope = (kind: "self" | "inScope" | "noisy", probe: InScopeProbe): AnswerLine => ({
    ...head,
    kind,
    inScope: true,
    question: probe.input,
    gold: probe.expected,
    base: probe.base,
    edited: probe.edited,
    right: probe.match,
    matchesGold: probe.match,
    gate: gateOf(probe),
    teacherForced: probe.teacherForced,
  });
  const outScope = (kind: "outScope" | "hard", probe: OutScopeProbe): AnswerLine => ({
    ...head,
    kind,
    inScope: false,
    question: probe.input,
    gold: probe.gold,
    base: probe.base,
    edited: probe.edited,
    right: probe.same,
    matchesGold: probe.goldMatch,
    gate: gateOf(probe),
    teacherForced: probe.teacherForcedSame,
  });
  return [
    inScope("self", record.self),
    ...record.inScope.map((probe) => inScope("inScope", probe)),
    ...record.noisy.map((probe) => inScope("noisy", probe)),
    ...record.outScope.map((probe) => outScope("outScope", probe)),
    ...record.hard.map((probe) => outScope("hard", probe)),
  ];
}
