import { phrasings } from "../data/episodes.js";
import { Rng } from "../data/random.js";
import type { Dataset, EditRecord, Split } from "../data/types.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { OnEvent } from "./events.js";
import { Breather } from "./pause.js";
import { Pace } from "./progress.js";

/** A fact a base model is taught: every clean wording asks for the same answer. */
export interface Fact {
  readonly wordings: readonly string[];
  /** Accepted answers; the first is the one taught. */
  readonly answers: readonly string[];
}

/** A data set and the splits of it that are taught. */
export interface TaughtDataset {
  readonly dataset: Dataset;
  readonly splits: readonly Split[];
  /** Share of the groups of each split that are taught, in (0, 1]. */
  readonly share: number;
}

function drawGroups(records: readonly EditRecord[], share: number, seed: number): readonly EditRecord[] {
  if (share === 1) return records;
  const groups = Rng.fromSeed(seed).shuffle([...new Set(records.map(({ group }) => group))]);
  const drawn = new Set(groups.slice(0, Math.ceil(share * groups.length)));
  return records.filter(({ group }) => drawn.has(group));
}

/**
 * The facts of data sets. A wording that two facts answer differently is left out of both, and a
 * fact with no wording left is left out altogether.
 * @param maxFacts at most so many, drawn by the seed
 */
export function factsOf(taught: readonly TaughtDataset[], maxFacts: number | null, seed: number): Fact[] {
  const records = taught.flatMap(({ dataset, splits, share }) =>
    splits.flatMap((split) => drawGroups(dataset.splits[split], share, seed)),
  );
  const ambiguous = ambiguousWordings(records);
  const facts = records
    .map((record) => ({
      wordings: [...new Set(phrasings(record))].filter((x) => !ambiguous.has(x)),
      answers: record.y_loc,
    }))
    .filter(({ wordings, answers }) => wordings.length > 0 && answers.length > 0);
  if (maxFacts === null || facts.length <= maxFacts) return facts;
  return Rng.fromSeed(seed).shuffle(facts).slice(0, maxFacts);
}

function ambiguousWordings(records: readonly EditRecord[]): Set<string> {
  const answerOf = new Map<string, string | undefined>();
  const ambiguous = new Set<string>();
  for (const record of records)
    for (const x of phrasings(record)) {
      const answer = record.y_loc[0];
      if (answerOf.has(x) && answerOf.get(x) !== answer) ambiguous.add(x);
      answerOf.set(x, answer);
    }
  return ambiguous;
}

export interface TokenisedFact {
  readonly sources: readonly Int32Array[];
  readonly target: Int32Array;
}

/** Tokenises everything once, in slices that let the event loop come round. */
export async function tokeniseFacts(
  facts: readonly Fact[],
  codec: EditCodec,
  onEvent?: OnEvent,
): Promise<TokenisedFact[]> {
  const breather = new Breather();
  const pace = new Pace(0, facts.length);
  const tokenised: TokenisedFact[] = [];
  for (const { wordings, answers } of facts) {
    tokenised.push({
      sources: wordings.map((x) => codec.source(x)),
      target: codec.target(answers[0] ?? ""),
    });
    await breather.pause();
    const step = tokenised.length;
    if (step % 500 === 0 || step === facts.length)
      onEvent?.({
        type: "progress",
        phase: "prepare",
        step,
        total: facts.length,
        figures: {},
        elapsedMs: pace.elapsedMs,
        etaMs: pace.etaMs(step),
      });
  }
  return tokenised;
}
