import type { SequentialConfig } from "../config/evaluation.js";
import type { Episode } from "../data/types.js";
import type { AgedOutcome } from "../metrics/retention.js";
import { matchesAny } from "../metrics/text.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { Figures } from "../training/events.js";
import { type Answer, type AskOptions, askAll, klOfRows } from "./answers.js";
import { meanFigures } from "./mean_figures.js";
import { present } from "./present.js";
import { isOutside, type Question } from "./questions.js";
import type { Row } from "./rows.js";
import type { EditedScorer, Subject } from "./scorers.js";
import { askedAfter, editsOfStep, isRetentionAge, sequenceSteps } from "./sequence.js";

/** An episode with its questions, and what they are as rows. */
export interface AskedEpisode {
  readonly episode: Episode;
  readonly questions: readonly Question[];
  readonly rows: readonly Row[];
}

/** A method, and what it gets of edits. */
export interface Asking<Edited extends EditedScorer> {
  readonly subject: Subject<Edited>;
  readonly codec: EditCodec;
  readonly requestsOf: (edits: Episode) => EditRequests;
}

/** What an edited model, or a sequence of them, said to the questions of an episode. */
export interface EditedAnswers {
  readonly after: readonly Answer[];
  /** Σ KL per question; 0 for in-scope ones, which are not compared. */
  readonly klOfRow: readonly number[];
  readonly editing: Figures;
  /** Questions that were put to a model: those that are the same, once. */
  readonly asked: number;
  /** Of every edit; empty where all were made at once. */
  readonly retention: readonly (readonly AgedOutcome[])[];
}

export async function askAfterAll<Edited extends EditedScorer>(
  { subject, codec, requestsOf }: Asking<Edited>,
  { episode, questions, rows }: AskedEpisode,
  asking: AskOptions,
): Promise<EditedAnswers> {
  const { signal } = asking;
  const { model, figures } = await subject.apply(requestsOf(episode), signal && { signal });
  try {
    const { answers: after, asked } = await askAll(model, rows, codec, asking);
    const klOfRow = await divergences(subject, model, { questions, rows }, after, asking);
    return { after, klOfRow, editing: figures, asked, retention: [] };
  } finally {
    await model.dispose();
  }
}

/** In-scope questions after the step that the schedule says, out-of-scope ones after the last; one model at a time. */
export async function askInSequence<Edited extends EditedScorer>(
  { subject, codec, requestsOf }: Asking<Edited>,
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
  let asked = 0;
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
      const said = await askAll(model, dueRows, codec, asking);
      asked += said.asked;
      const matchesOf = new Map<number, boolean[]>();
      for (const [at, i] of due.entries()) {
        const { edit, accepted } = present(questions[i]);
        const answer = present(said.answers[at]);
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
    return { after, klOfRow, editing: meanFigures(figures), asked, retention };
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
