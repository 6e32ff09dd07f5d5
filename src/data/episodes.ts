import { SeprogError } from "../errors.js";
import type { Rng } from "./random.js";
import {
  COPY,
  type EditRecord,
  type EpisodeEdit,
  type EpisodeInScope,
  type EpisodeOutScope,
} from "./types.js";

/** How the text of an input is chosen: as the data set writes it, or any wording known to ask the same. */
export type Phrasing = "canonical" | "any";

/** Every clean wording that asks for the record's own fact, the canonical one first. */
export function phrasings(record: EditRecord): string[] {
  const rephrases = record.x_loc === record.x_e ? record.in_scope.filter(({ y }) => y === COPY) : [];
  return [record.x_loc, ...rephrases.map(({ x }) => x)];
}

export function drawEditInput(record: EditRecord, phrasing: Phrasing, rng: Rng): string {
  if (phrasing === "canonical") return record.x_e;
  const copies = record.in_scope.filter(({ y }) => y === COPY);
  return rng.pick([record.x_e, ...copies.map(({ x }) => x)]);
}

const resolve = (y: string, label: string): string => (y === COPY ? label : y);

/** The edit's own input as an in-scope pair. */
export function selfPair({ x_e, y_e }: EpisodeEdit, editIndex: number): EpisodeInScope {
  return { x: x_e, y: y_e, editIndex, kind: "self" };
}

/** Clean in-scope pairs of an edit: rephrases other than its own input (its canonical one included), or entailed ones. */
export function rephrasePairs({ record, x_e, y_e }: EpisodeEdit, editIndex: number): EpisodeInScope[] {
  const rephrases = [...record.in_scope, { x: record.x_e, y: COPY }].filter(({ x }) => x !== x_e);
  if (record.in_scope.length > 0)
    return rephrases.map(({ x, y }) => ({ x, y: resolve(y, y_e), editIndex, kind: "rephrase" }));
  return record.entailed.map(({ x, y }) => ({ x, y: resolve(y, y_e), editIndex, kind: "entailed" }));
}

export function noisyPairs({ record, y_e }: EpisodeEdit, editIndex: number): EpisodeInScope[] {
  return record.in_scope_noisy.map(({ x, y }) => ({ x, y: resolve(y, y_e), editIndex, kind: "noisy" }));
}

/** Neighbours of the edits that no edit of the episode touches, in random order. */
function hardCandidates(edits: readonly EpisodeEdit[], rng: Rng): EpisodeOutScope[] {
  const groups = new Set(edits.map(({ record }) => record.group));
  const pairs = edits.flatMap(({ record }) =>
    record.hard_out.filter(({ group }) => group === undefined || !groups.has(group)),
  );
  return rng.shuffle(pairs).map(({ x, y_gold }) => ({ x, y_gold, kind: "hard" }));
}

/** Tries before the pool is searched through for a record that is no edit. */
const REDRAWS = 64;

function drawOutsider(pool: readonly EditRecord[], groups: ReadonlySet<string>, rng: Rng): EditRecord {
  for (let i = 0; i < REDRAWS; i++) {
    const record = rng.pick(pool);
    if (!groups.has(record.group)) return record;
  }
  const outsiders = pool.filter(({ group }) => !groups.has(group));
  if (outsiders.length === 0)
    throw new SeprogError(
      "DATA_INVALID",
      `expected at least one record outside the groups of the ${groups.size} edits but received none; ` +
        "choose a smaller K or more data",
    );
  return rng.pick(outsiders);
}

/** Rounds up or down at random, so that the mean is exact. */
const randomRound = (value: number, rng: Rng): number => Math.floor(value) + Number(rng.chance(value % 1));

export interface OutScopeOptions {
  /** Share of hard pairs where the edits have them, in [0, 1]; random ones fill up. */
  readonly hardShare: number;
  readonly phrasing: Phrasing;
}

/**
 * K out-of-scope pairs: hard ones without replacement, random ones with (docs/data.md), never of an edit's group.
 * @throws SeprogError DATA_INVALID if every record of the pool shares a group with an edit
 */
export function drawOutScope(
  edits: readonly EpisodeEdit[],
  pool: readonly EditRecord[],
  { hardShare, phrasing }: OutScopeOptions,
  rng: Rng,
): EpisodeOutScope[] {
  const K = edits.length;
  const wantedHard = randomRound(hardShare * K, rng);
  const hard = wantedHard > 0 ? hardCandidates(edits, rng).slice(0, wantedHard) : [];
  const groups = new Set(edits.map(({ record }) => record.group));
  const random = Array.from({ length: K - hard.length }, (): EpisodeOutScope => {
    const record = drawOutsider(pool, groups, rng);
    const x = phrasing === "any" ? rng.pick(phrasings(record)) : record.x_loc;
    return { x, y_gold: record.y_loc, kind: "random" };
  });
  return [...hard, ...random];
}
