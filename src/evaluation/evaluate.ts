import type { SequentialConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import { SeprogError } from "../errors.js";
import type { AgedOutcome } from "../metrics/retention.js";
import { matchesAny, matchesAnyStrict } from "../metrics/text.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { Figures, OnEvent } from "../training/events.js";
import { Pace } from "../training/progress.js";
import { type Answer, type AskOptions, askAll, type BaseAnswers, klOfRows, questionRows } from "./answers.js";
import { meanFigures } from "./mean_figures.js";
import { episodeQuestions, isOutside, type Question } from "./questions.js";
import type { EditRecordLine, InScopeProbe, OutScopeProbe } from "./records.js";
import { type EditedScorer, editRequests, type Subject } from "./scorers.js";
import { askedAfter, editsOfStep, isRetentionAge, sequenceSteps } from "./sequence.js";

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
}

/**
 * For every episode: apply its K edits, at once or one after the other, ask the base and the edited model everything
 * about them, write down one line per edit. Metrics are computed from these lines alone.
 * @throws the signal's reason when aborted
 */
export async function* evaluate<Edited extends EditedScorer>(
  input: EvaluationInput<Edited>,
  options: EvaluateOptions,
): AsyncGenerator<EvaluatedEpisode> {
  const { subject, episodes, codec, baseAnswers } = input;
  const { onEvent } = options;
  const asked = episodes.map((episode) => {
    const questions = episodeQuestions(episode);
    return { episode, questions, rows: questionRows(questions, codec) };
  });
  await baseAnswers.learn(
    asked.flatMap(({ rows }) => rows),
    options,
  );

  const pace = new Pace(0, episodes.length);
  const shares = new RunningShares();
  for (const [index, one] of asked.entries()) {
    const before = one.rows.map((row) => baseAnswers.of(row));
    const asking = { ...options, tellGoldEdits: subject.needsGoldEdits };
    const { editing, retention, ...answers } = await (input.sequential === undefined
      ? askAfterAll(input, one, asking)
      : askInSequence(input, input.sequential, one, asking));
    const lines = linesOf(index, one, { before, ...answers }, retention);
    for (const line of lines) shares.add(line);
    yield { lines, editing };

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

/** An episode with its questions, and what they are as rows. */
interface AskedEpisode {
  readonly episode: Episode;
  readonly questions: readonly Question[];
  readonly rows: ReturnType<typeof questionRows>;
}

/** What an edited model, or a sequence of them, said to the questions of an episode. */
interface EditedAnswers {
  readonly after: readonly Answer[];
  /** Σ KL per question; 0 for in-scope ones, which are not compared. */
  readonly klOfRow: readonly number[];
  readonly editing: Figures;
  /** Of every edit; empty where all were made at once. */
  readonly retention: readonly (readonly AgedOutcome[])[];
}

async function askAfterAll<Edited extends EditedScorer>(
  { subject, codec, requestsOf = (edits) => editRequests(edits, codec) }: EvaluationInput<Edited>,
  { episode, questions, rows }: AskedEpisode,
  asking: AskOptions,
): Promise<EditedAnswers> {
  const { signal } = asking;
  const { model, figures } = await subject.apply(requestsOf(episode), signal && { signal });
  try {
    const after = await askAll(model, rows, codec, asking);
    const klOfRow = await divergences(subject, model, { questions, rows }, after, asking);
    return { after, klOfRow, editing: figures, retention: [] };
  } finally {
    await model.dispose();
  }
}

/** In-scope questions after the step that the schedule says, out-of-scope ones after the last; one model at a time. */
async function askInSequence<Edited extends EditedScorer>(
  { subject, codec, requestsOf = (edits) => editRequests(edits, codec) }: EvaluationInput<Edited>,
  sequential: SequentialConfig,
  { episode, questions, rows }: AskedEpisode,
  asking: AskOptions,
): Promise<EditedAnswers> {
  const { signal } = asking;
  const steps = sequenceSteps(episode.edits.length, sequential);
  const madeAt = episode.edits.map((_, edit) => steps.findIndex((step) => step.includes(edit)));
  const askedAt = questions.map((question) =>
    isOutside(question)
      ? steps.length - 1
      : askedAfter(present(madeAt[question.edit]), steps.length, sequential),
  );
  const headline = headlineQuestions(questions);
  const after: Answer[] = [];
  const retention: AgedOutcome[][] = episode.edits.map(() => []);
  const figures: Figures[] = [];
  let model: Edited | undefined;
  try {
    for (const [now, step] of steps.entries()) {
      const call = { ...(signal && { signal }), ...(model && { onto: model }) };
      const applied = await subject.apply(requestsOf(editsOfStep(episode, step)), call);
      await model?.dispose();
      model = applied.model;
      figures.push(applied.figures);

      const isAged = (i: number): boolean => {
        const stepsSince = now - present(madeAt[present(questions[i]).edit]);
        return headline.has(i) && stepsSince >= 0 && isRetentionAge(stepsSince);
      };
      const due = [...questions.keys()].filter((i) => askedAt[i] === now || isAged(i));
      const dueRows = due.map((i) => present(rows[i]));
      const answers = await askAll(model, dueRows, codec, asking);
      const matchesOf = new Map<number, boolean[]>();
      for (const [at, i] of due.entries()) {
        const { edit, accepted } = present(questions[i]);
        const answer = present(answers[at]);
        if (askedAt[i] === now) after[i] = answer;
        if (isAged(i))
          matchesOf.set(edit, [...(matchesOf.get(edit) ?? []), matchesAny(answer.text, accepted)]);
      }
      for (const [edit, matches] of matchesOf) {
        const later = steps.slice(present(madeAt[edit]) + 1, now + 1);
        const age = later.reduce((sum, { length }) => sum + length, 0);
        retention[edit]?.push({ age, ES: matches.filter(Boolean).length / matches.length });
      }
    }
    const klOfRow = await divergences(subject, present(model), { questions, rows }, after, asking);
    return { after, klOfRow, editing: meanFigures(figures), retention };
  } finally {
    await model?.dispose();
  }
}

/** Positions of the questions that count for ES: clean rephrases, or an edit's own question where it has none. */
function headlineQuestions(questions: readonly Question[]): ReadonlySet<number> {
  const rephrases = questions.filter(({ group }) => group === "inScope");
  const rephrased = new Set(rephrases.map(({ edit }) => edit));
  const counts = ({ group, edit }: Question): boolean =>
    group === "inScope" || (group === "self" && !rephrased.has(edit));
  return new Set([...questions.keys()].filter((i) => counts(present(questions[i]))));
}

/** Σ KL(base ‖ edited) of the out-of-scope questions, 0 for the others. */
function divergences<Edited extends EditedScorer>(
  { base, leavesGatedOffAlone }: Subject<Edited>,
  model: Edited,
  { questions, rows }: Pick<AskedEpisode, "questions" | "rows">,
  after: readonly Answer[],
  asking: AskOptions,
): Promise<number[]> {
  const compared = questions.map(
    (question, i) => isOutside(question) && !(leavesGatedOffAlone && isGatedOff(after[i])),
  );
  return klOfRows(base, model, rows, compared, asking);
}

/** Where this means the base's own computation, its divergence is 0, to the bit. */
const isGatedOff = (answer: Answer | undefined): boolean =>
  answer?.scope !== undefined && answer.scope.logit <= 0;

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

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new SeprogError("INTERNAL", "expected one answer for each question");
  return value;
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
