/**
 * Questions as a file, for systems that are no editor of ours: JSON Lines, for each episode a line with its edits and
 * then its questions in the order in which they may be asked (docs/importing.md).
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import { type SequentialConfig, scheduleName } from "../config/evaluation.js";
import { parseScheduleName } from "../config/schedule_name.js";
import { parseJsonLines } from "../data/json_lines.js";
import { Problems } from "../data/problems.js";
import { describeIssues } from "../data/schema.js";
import type { EditRecord, Episode, EpisodeInScope, EpisodeOutScope } from "../data/types.js";
import { SeprogError } from "../errors.js";
import { episodeQuestions, isOutside, type Question } from "./questions.js";
import { askedAfter, sequenceSteps } from "./sequence.js";

const text = z.string().refine((value) => value.trim() !== "", "expected a text but received only blanks");

export const QUESTION_KINDS = ["self", "inScope", "noisy", "outScope", "hard"] as const;

/** The edits that are made before the questions of the lines below. */
const episodeLineSchema = z.strictObject({
  episode: text,
  dataset: text,
  K: z.int().positive(),
  schedule: z.string(),
  edits: z.array(z.strictObject({ id: text, x_e: text, y_e: text })).min(1),
});
type EpisodeLine = z.infer<typeof episodeLineSchema>;

const questionLineSchema = z.strictObject({
  id: text,
  episode: text,
  /** Position among the episode's edits of the one it is recorded under. */
  edit: z.int().nonnegative(),
  kind: z.enum(QUESTION_KINDS),
  question: text,
  /** Answers that count: the requested one in scope, the true ones out of scope. The first is the canonical one. */
  accepted: z.array(z.string()).min(1),
  /** So many of the episode's edits are made when it is asked. */
  after: z.int().positive(),
});
type QuestionLine = z.infer<typeof questionLineSchema>;

/** A question with the id that answers name it by. */
export interface NamedQuestion extends Question {
  readonly id: string;
  readonly after: number;
  /** `file:line`, or what stands for it where the questions are in no file. */
  readonly place: string;
}

/** An episode with its questions: each edit's own first, then the others about edits, then those out of scope. */
export interface QuestionEpisode extends Pick<EpisodeLine, "dataset" | "K" | "edits"> {
  readonly name: string;
  readonly sequential: SequentialConfig | undefined;
  readonly questions: readonly NamedQuestion[];
}

/** Episodes of one data set, K and schedule. */
export interface QuestionCell extends Pick<QuestionEpisode, "dataset" | "K" | "sequential"> {
  readonly episodes: readonly QuestionEpisode[];
}

/** What an evaluation asks in its episodes, named. */
export function nameQuestions(
  dataset: string,
  episodes: readonly Episode[],
  sequential: SequentialConfig | undefined,
): QuestionEpisode[] {
  return episodes.map((episode, index): QuestionEpisode => {
    const K = episode.edits.length;
    const name = `${dataset}-K${K}-${index}`;
    return {
      name,
      dataset,
      K,
      sequential,
      edits: episode.edits.map(({ record, x_e, y_e }) => ({ id: record.id, x_e, y_e })),
      questions: episodeQuestions(episode).map((question, i) => ({
        ...question,
        id: `${name}-${i}`,
        after: editsBefore(question, K, sequential),
        place: `${name}, question ${i}`,
      })),
    };
  });
}

/** How many edits of the episode are made when the question is asked. */
function editsBefore(question: Question, K: number, sequential: SequentialConfig | undefined): number {
  if (sequential === undefined || isOutside(question)) return K;
  const steps = sequenceSteps(K, sequential);
  const made = steps.findIndex((step) => step.includes(question.edit));
  const asked = askedAfter(made, steps.length, sequential);
  return steps.slice(0, asked + 1).reduce((sum, { length }) => sum + length, 0);
}

/** The lines of a file of these episodes. */
export function* questionLines(episodes: Iterable<QuestionEpisode>): Generator<EpisodeLine | QuestionLine> {
  for (const { name, dataset, K, sequential, edits, questions } of episodes) {
    yield {
      episode: name,
      dataset,
      K,
      schedule: scheduleName(sequential),
      edits: edits.map(({ id, x_e, y_e }) => ({ id, x_e, y_e })),
    };
    for (const { id, edit, group, x, accepted, after } of questions.toSorted((a, b) => a.after - b.after))
      yield { id, episode: name, edit, kind: group, question: x, accepted: [...accepted], after };
  }
}

/** SHA-256 of the lines that these episodes are written as. */
export function questionsChecksum(episodes: Iterable<QuestionEpisode>): string {
  const hash = createHash("sha256");
  for (const line of questionLines(episodes)) hash.update(`${JSON.stringify(line)}\n`);
  return hash.digest("hex");
}

interface OpenEpisode extends Omit<QuestionEpisode, "questions"> {
  readonly place: string;
  readonly questions: NamedQuestion[];
}

/**
 * Reads what `questionLines` gave, or a file of the same form.
 * @throws SeprogError DATA_INVALID with `file:line` for every bad line, for repeated ids, questions of no episode above
 *   them or of no edit of it, and edits without a question of their own
 */
export async function readQuestions(path: string): Promise<QuestionEpisode[]> {
  const problems = new Problems();
  const episodes = new Map<string, OpenEpisode>();
  const placeOfId = new Map<string, string>();
  const anyLine = z.looseObject({ episode: text });
  for await (const { number, value } of parseJsonLines(path, anyLine, problems)) {
    const place = `${path}:${number}`;
    if ("edits" in value) {
      const line = checked(episodeLineSchema, value, place, problems);
      if (line !== undefined) openEpisode(line, place, episodes, problems);
      continue;
    }
    const line = checked(questionLineSchema, value, place, problems);
    if (line === undefined) continue;
    const earlier = placeOfId.get(line.id);
    if (earlier === undefined) placeOfId.set(line.id, place);
    else problems.add(place, `\`id\`: expected a new id but "${line.id}" is also at ${earlier}`);
    addQuestion(line, place, episodes.get(line.episode), problems);
  }
  for (const { place, name, edits, questions } of episodes.values()) {
    const asked = new Set(questions.filter(({ group }) => group === "self").map(({ edit }) => edit));
    const missing = [...edits.keys()].filter((edit) => !asked.has(edit));
    if (missing.length > 0)
      problems.add(
        place,
        `expected a question of kind self for every edit of ${name} but received none for edit ${missing.slice(0, 5).join(", ")}`,
      );
  }
  problems.throwIfAny(path);
  if (episodes.size === 0)
    throw new SeprogError("DATA_INVALID", `expected at least one episode in ${path} but received none`);
  return [...episodes.values()].map(({ place: _, ...episode }) => ({
    ...episode,
    questions: inOrder(episode.questions),
  }));
}

function checked<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: string,
  problems: Problems,
): z.output<Schema> | undefined {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of describeIssues(parsed.error)) problems.add(place, issue);
  return undefined;
}

function openEpisode(
  { episode: name, dataset, K, schedule, edits }: EpisodeLine,
  place: string,
  episodes: Map<string, OpenEpisode>,
  problems: Problems,
): void {
  const earlier = episodes.get(name);
  if (earlier !== undefined)
    problems.add(place, `\`episode\`: expected a new name but "${name}" is also at ${earlier.place}`);
  if (edits.length !== K)
    problems.add(place, `\`edits\`: expected ${K}, as \`K\` says, but received ${edits.length}`);
  let sequential: SequentialConfig | undefined;
  try {
    sequential = parseScheduleName(schedule, "schedule");
  } catch (error) {
    problems.add(place, error instanceof SeprogError ? error.message : String(error));
  }
  episodes.set(name, { name, dataset, K, sequential, edits, questions: [], place });
}

function addQuestion(
  { id, episode: name, edit, kind, question, accepted, after }: QuestionLine,
  place: string,
  episode: OpenEpisode | undefined,
  problems: Problems,
): void {
  if (episode === undefined) {
    problems.add(place, `\`episode\`: expected one of a line above but received "${name}"`);
    return;
  }
  if (edit >= episode.edits.length || after > episode.edits.length) {
    problems.add(
      place,
      `expected \`edit\` below and \`after\` up to ${episode.edits.length}, the edits of ${name}, but received ${edit} and ${after}`,
    );
    return;
  }
  if (kind === "self" && episode.questions.some((other) => other.group === kind && other.edit === edit))
    problems.add(
      place,
      `expected one question of kind self for edit ${edit} of ${name} but received another`,
    );
  const [first = "", ...rest] = accepted;
  episode.questions.push({ id, edit, group: kind, x: question, accepted: [first, ...rest], after, place });
}

/** As `episodeQuestions` has them. */
function inOrder(questions: readonly NamedQuestion[]): NamedQuestion[] {
  const rank = ({ group }: NamedQuestion): number => (group === "self" ? 0 : 1);
  const about = questions.filter((question) => !isOutside(question));
  about.sort((a, b) => rank(a) - rank(b) || a.edit - b.edit);
  return [...about, ...questions.filter(isOutside)];
}

/** The same episode as an evaluation takes it; of its records only what is asked is known. */
export function toEpisode({ edits, questions }: QuestionEpisode): Episode {
  return {
    edits: edits.map(({ id, x_e, y_e }) => ({ record: recordOf(id, x_e, y_e), x_e, y_e })),
    inScope: questions.flatMap(({ group, edit, x, accepted }): EpisodeInScope[] =>
      group === "outScope" || group === "hard"
        ? []
        : [{ x, y: accepted[0], editIndex: edit, kind: group === "inScope" ? "rephrase" : group }],
    ),
    outScope: questions.flatMap(({ group, x, accepted }): EpisodeOutScope[] =>
      group === "outScope" || group === "hard"
        ? [{ x, y_gold: accepted, kind: group === "hard" ? "hard" : "random" }]
        : [],
    ),
  };
}

const recordOf = (id: string, x_e: string, y_e: string): EditRecord => ({
  id,
  group: id,
  x_e,
  y_e_options: [y_e],
  in_scope: [],
  in_scope_noisy: [],
  entailed: [],
  hard_out: [],
  x_loc: x_e,
  y_loc: [],
});

/** Episodes by data set, K and schedule, in the order of their first ones. */
export function questionCells(episodes: readonly QuestionEpisode[]): QuestionCell[] {
  const cells = new Map<string, QuestionEpisode[]>();
  for (const episode of episodes) {
    const key = JSON.stringify([episode.dataset, episode.K, scheduleName(episode.sequential)]);
    const known = cells.get(key);
    if (known === undefined) cells.set(key, [episode]);
    else known.push(episode);
  }
  return [...cells.values()].flatMap((own) => {
    const [first] = own;
    return first === undefined
      ? []
      : [{ dataset: first.dataset, K: first.K, sequential: first.sequential, episodes: own }];
  });
}
