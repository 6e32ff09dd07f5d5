import type { Episode } from "../data/types.js";

/** One input put to the base and the edited model. */
export interface Question {
  readonly group: "self" | "inScope" | "noisy" | "outScope" | "hard";
  /** Position in the episode of the edit it is recorded under. */
  readonly edit: number;
  readonly x: string;
  /** Accepted answers: the requested one in scope, the gold ones out of scope. The first is scored by teacher forcing. */
  readonly accepted: readonly [string, ...string[]];
}

export const isOutside = ({ group }: Question): boolean => group === "outScope" || group === "hard";

/** The edit of its episode that a question is about, −1 for none. */
export const goldEdit = (question: Question): number => (isOutside(question) ? -1 : question.edit);

/**
 * All questions of an episode: every edit's own input, its clean and noisy rephrases, and the out-of-scope inputs, the
 * i-th recorded under edit i.
 */
export function episodeQuestions({ edits, inScope, outScope }: Episode): Question[] {
  const self = edits.map(
    ({ x_e, y_e }, edit): Question => ({
      group: "self",
      edit,
      x: x_e,
      accepted: [y_e],
    }),
  );
  const about = inScope
    .filter(({ kind }) => kind !== "self")
    .map(
      ({ x, y, editIndex, kind }): Question => ({
        group: kind === "noisy" ? "noisy" : "inScope",
        edit: editIndex,
        x,
        accepted: [y],
      }),
    );
  const outside = outScope.map(
    ({ x, y_gold, kind }, i): Question => ({
      group: kind === "hard" ? "hard" : "outScope",
      edit: i % edits.length,
      x,
      accepted: atLeastOne(y_gold),
    }),
  );
  return [...self, ...about, ...outside];
}

/** Records without gold answers are scored against the empty answer; the base's own answer counts all the same. */
const atLeastOne = ([first = "", ...rest]: readonly string[]): [string, ...string[]] => [first, ...rest];
