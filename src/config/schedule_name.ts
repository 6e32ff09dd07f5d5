import { SeprogError } from "../errors.js";
import type { SequentialConfig } from "./evaluation.js";

const NAME = /^(?:(immediate|final)|gap=([1-9]\d*))(?: by ([1-9]\d*))?$/;

/**
 * The schedule that `scheduleName` calls so; undefined for `simultaneous`: all edits at once.
 * @param where what is set by it, as the message names it
 * @throws SeprogError CONFIG_INVALID
 */
export function parseScheduleName(name: string, where: string): SequentialConfig | undefined {
  if (name === "simultaneous") return undefined;
  const [matched, schedule, gap, count] = NAME.exec(name) ?? [];
  if (matched === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected simultaneous, immediate, final or gap=<edits>, with " by <edits a step>" where several are made at once, for \`${where}\` but received ${JSON.stringify(name)}`,
    );
  return {
    schedule: gap === undefined ? (schedule as "immediate" | "final") : "gap",
    ...(gap !== undefined && { gap: Number(gap) }),
    editsPerStep: Number(count ?? 1),
  };
}
