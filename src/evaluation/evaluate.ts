import type { SequentialConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { matchesAny, matchesAnyStrict } from "../metrics/text.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { Figures, OnEvent } from "../training/events.js";
import { Pace } from "../training/progress.js";
import type { Answer, AskOptions } from "./answers.js";
import type { BaseAnswers } from "./base_answers.js";
import { type AskedEpisode, askAfterAll, askInSequence, type EditedAnswers } from "./edited_answers.js";
import { present } from "./present.js";
import { episodeQuestions, type Question } from "./questions.js";
import type { EditRecordLine, InScopeProbe, OutScopeProbe } from "./records.js";
import { questionRows, type Row } from "./rows.js";
import { type EditedScorer, editRequests, type Subject } from "./scorers.js";

export interface EvaluationInput<Edited extends EditedScorer> {
  readonly subject: Subject<Edited>;
  readonly episodes: readonly Episode[];
  readonly codec: EditCodec;
  /** Of the subject's base model. */
  readonly baseAnswers: BaseAnswers;
  /** Absent: all edits of an episode at once. */
  readonly sequential?: SequentialConfig | undefined;
  /** What a method gets of an episode's edits; default: the edits alone. */
  readonly requestsOf?: (edits: Episode) => EditRequests;
}

export interface EvaluateOptions extends AskOptions {
  readonly onEvent?: OnEvent;
}

/** What became of one episode. */
export interface EvaluatedEpisode {
  /** One an edit. */
  readonly lines: readonly EditRecordLine[];
  /** What applying its edits took. */
  readonly editing: Figures;
  /** What the edited model said, as token ids, one row a question. */
  readonly outputs: readonly Int32Array[];
  /** Questions that were put to edited models; those that are the same count once. */
  readonly asked: number;
}

/** Questions that the base is asked in one go, while those behind them become tokens. */
const PART_QUESTIONS = 1024;

/**
 * For every episode: apply its K edits, at once or one after the other, ask the base and the edited model everything
 * about them, write down one line per edit. Metrics are computed from these lines alone.
 * @throws the signal's reason when aborted
 */
export async function* evaluate<Edited extends EditedScorer>(
  input: EvaluationInput<Edited>,
  options: EvaluateOptions,
): AsyncGenerator<EvaluatedEpisode> {
  const { subject, episodes, codec, baseAnswers, sequential } = input;
  const { requestsOf = (edits: Episode) => editRequests(edits, codec) } = input;
  const method = { subject, codec, requestsOf };
  const { onEvent } = options;
  const questioned = episodes.map((episode) => ({ episode, questions: episodeQuestions(episode) }));
  const asked: AskedEpisode[] = [];
  const total = questioned.reduce((sum, { questions }) => sum + questions.length, 0);
  await baseAnswers.learn(inParts(questioned, codec, asked), total, options);

  const pace = new Pace(0, episodes.length);
  const shares = new RunningShares();
  const asking = { ...options, tellGoldEdits: subject.needsGoldEdits };
  for (const [index, one] of asked.entries()) {
    const before = one.rows.map((row) => baseAnswers.of(row));
    const { editing, retention, ...answers } = await (sequential === undefined
      ? askAfterAll(method, one, asking)
      : askInSequence(method, sequential, one, asking));
    const lines = linesOf(index, one, { before, ...answers }, retention);
    for (const line of lines) shares.add(line);
    const outputs = answers.after.map(({ tokens }) => tokens);
    yield { lines, editing, outputs, asked: answers.asked };

    onEvent?.({
      type: "progress",
      phase: "evaluate",
      step: index + 1,
      total: episodes.length,
      figures: shares.current(),
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(index + 1),
    });
  }
}

/** The questions of some episodes at a time as rows; the episodes are put into `asked`. */
function* inParts(
  episodes: readonly Omit<AskedEpisode, "rows">[],
  codec: EditCodec,
  asked: AskedEpisode[],
): Generator<readonly Row[]> {
  let part: Row[] = [];
  for (const { episode, questions } of episodes) {
    const rows = questionRows(questions, codec);
    asked.push({ episode, questions, rows });
    part.push(...rows);
    if (part.length < PART_QUESTIONS) continue;
    yield part;
    part = [];
  }
  if (part.length > 0) yield part;
}

type Answers = Pick<EditedAnswers, "after" | "klOfRow"> & { readonly before: readonly Answer[] };

function linesOf(
  index: number,
  { episode, questions }: AskedEpisode,
  { before, after, klOfRow }: Answers,
  retention: EditedAnswers["retention"],
): EditRecordLine[] {
  const lines = episode.edits.map(({ record, x_e, y_e }, edit) => ({
    episode: index,
    edit,
    id: record.id,
    question: x_e,
    answer: y_e,
    self: [] as InScopeProbe[],
    inScope: [] as InScopeProbe[],
    noisy: [] as InScopeProbe[],
    outScope: [] as OutScopeProbe[],
    hard: [] as OutScopeProbe[],
  }));
  questions.forEach((question, i) => {
    const line = present(lines[question.edit]);
    const base = present(before[i]);
    const edited = present(after[i]);
    if (question.group === "outScope" || question.group === "hard")
      line[question.group].push(outScopeProbe(question, base, edited, present(klOfRow[i])));
    else line[question.group].push(inScopeProbe(question, base, edited));
  });
  return lines.map((line) => {
    const aged = retention[line.edit];
    return { ...line, self: present(line.self[0]), ...(aged && { retention: [...aged] }) };
  });
}

function inScopeProbe({ x, accepted }: Question, base: Answer, edited: Answer): InScopeProbe {
  return {
    input: x,
    base: base.text,
    edited: edited.text,
    ...(edited.scope && { scope: edited.scope }),
    expected: [...accepted],
    match: matchesAny(edited.text, accepted),
    baseMatch: matchesAny(base.text, accepted),
    matchStrict: matchesAnyStrict(edited.text, accepted),
    teacherForced: sameTokens(edited.argmax, edited.target),
    negLogLik: edited.negLogLik,
    tokens: edited.target.length,
  };
}

function outScopeProbe({ x, accepted }: Question, base: Answer, edited: Answer, kl: number): OutScopeProbe {
  return {
    input: x,
    base: base.text,
    edited: edited.text,
    ...(edited.scope && { scope: edited.scope }),
    gold: [...accepted],
    same: matchesAny(edited.text, [base.text]),
    sameStrict: matchesAnyStrict(edited.text, [base.text]),
    goldMatch: matchesAny(edited.text, accepted),
    baseGoldMatch: matchesAny(base.text, accepted),
    teacherForcedSame: sameTokens(edited.argmax, base.argmax),
    kl,
    tokens: edited.target.length,
  };
}

const sameTokens = (a: Int32Array, b: Int32Array): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);

/** ES and DD so far, for the progress line: plain shares of items, without weights. */
class RunningShares {
  #inScope = 0;
  #right = 0;
  #outScope = 0;
  #changed = 0;

  add({ inScope, outScope }: EditRecordLine): void {
    this.#inScope += inScope.length;
    this.#right += inScope.filter(({ match }) => match).length;
    this.#outScope += outScope.length;
    this.#changed += outScope.filter(({ same }) => !same).length;
  }

  current(): { [name: string]: number } {
    return {
      ...(this.#inScope > 0 && { ES: this.#right / this.#inScope }),
      ...(this.#outScope > 0 && { DD: this.#changed / this.#outScope }),
    };
  }
}
