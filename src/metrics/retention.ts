import type { BootstrapOptions, Estimate } from "./bootstrap.js";
import type { EditOutcome } from "./outcomes.js";
import { episodeMean } from "./ratio.js";

/** An edit as it was answered when so many edits had been made after it. */
export interface AgedOutcome {
  readonly age: number;
  /** Share of the questions that count for ES. */
  readonly ES: number;
}

type SequentialOutcome = Pick<EditOutcome, "episode"> & {
  readonly retention?: readonly AgedOutcome[] | undefined;
};

/** ES against age, over the edits that became that old; ages rising. Empty where edits were made at once. */
export function retentionCurve(
  edits: readonly SequentialOutcome[],
  options?: BootstrapOptions,
): { readonly age: number; readonly ES: Estimate }[] {
  const ages = new Set(edits.flatMap(({ retention = [] }) => retention.map(({ age }) => age)));
  return [...ages]
    .sort((a, b) => a - b)
    .flatMap((age) => {
      const ES = episodeMean(
        edits,
        ({ retention = [] }) => retention.filter((one) => one.age === age).map((one) => one.ES),
        options,
      );
      return ES === null ? [] : [{ age, ES }];
    });
}
