import type { Episode, EpisodeEdit } from "../data/types.js";

/** One input put to the base and the edited model. */
export interface Question {
  readonly group: "self" | "inScope" | "noisy" | "outScope" | "hard";
  /** Position in the episode of the edit it is recorded under. */
  readonly edit: number;
  readonly x: string;
  /** Accepted answers: the requested one in scope, the gold ones out of scope. The first is scored by teacher forcing. */
  readonly accepted: readonly [string, ...string[]];
}

/**
 * All questions of an episode: every edit's own input, its clean and noisy rephrases, the random out-of-scope inputs
 * (the i-th under edit i), and every edit's hard neighbours that no edit of the episode touches.
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
  const random = outScope
    .filter(({ kind }) => kind === "random")
    .map(
      ({ x, y_gold }, i): Question => ({
        group: "outScope",
        edit: i % edits.length,
        x,
        accepted: atLeastOne(y_gold),
      }),
    );
  return [...self, ...about, ...random, ...hardQuestions(edits)];
}

function hardQuestions(edits: readonly EpisodeEdit[]): Question[] {
  const groups = new Set(edits.map(({ record }) => record.group));
  return edits.flatMap(({ record }, edit) =>
    record.hard_out
      .filter(({ group }) => group === undefined || !groups.has(group))
      .map(({ x, y_gold }): Question => ({ group: "hard", edit, x, accepted: atLeastOne(y_gold) })),
  );
}

/** Records without gold answers are scored against the empty answer, so that only the base's own answer counts. */
const atLeastOne = ([first = "", ...rest]: readonly string[]): [string, ...string[]] => [first, ...rest];
