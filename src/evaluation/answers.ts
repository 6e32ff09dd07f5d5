import type { EditCodec } from "../tokenizers/edit_codec.js";
import { unpackRows } from "../tokenizers/token_rows.js";
import type { BatchBudget } from "./batch_budget.js";
import { askInBatches } from "./batches.js";
import { present } from "./present.js";
import { pairRows, type Row, rowKey, rowNotes, rowTokens } from "./rows.js";
import type { BaseScorer, EditedScorer, Scorer } from "./scorers.js";

/** What a model says to one question, freely and under teacher forcing on the first accepted answer. */
export interface Answer {
  readonly text: string;
  /** As generated. */
  readonly tokens: Int32Array;
  /** Arg-max per target token. */
  readonly argmax: Int32Array;
  readonly target: Int32Array;
  /** Σ −ln p over the target tokens. */
  readonly negLogLik: number;
  readonly scope?: { readonly logit: number; readonly selected: number };
}

export interface AskOptions {
  /** How many rows a call may have. */
  readonly budget: BatchBudget;
  readonly maxNewTokens: number;
  /** Whether the model is told which edit each row is about. */
  readonly tellGoldEdits?: boolean;
  readonly signal?: AbortSignal;
}

/** Answers in the order of the rows, both protocols from one encoding; rows that are the same are asked once. */
export async function askAll(
  scorer: Scorer,
  rows: readonly Row[],
  codec: EditCodec,
  { budget, maxNewTokens, tellGoldEdits = false, signal }: AskOptions,
): Promise<{ readonly answers: Answer[]; readonly asked: number }> {
  const keys = rows.map((row) => rowKey(row, tellGoldEdits));
  const distinct = new Map(rows.map((row, i) => [present(keys[i]), row] as const));
  const known = new Map<string, Answer>();
  await askInBatches({
    items: [...distinct],
    tokensOf: ([, row]) => rowTokens(row, maxNewTokens),
    sizes: budget.of("answer"),
    ask: (batch, measure) => {
      const asked = batch.map(([, row]) => row);
      return scorer.answer(pairRows(asked), {
        maxNewTokens,
        ...codec.generation,
        ...rowNotes(asked, tellGoldEdits),
        ...(signal && { signal }),
        ...budget.options(measure),
      });
    },
    take: (batch, { tokens, argmax, rowLoss, scope }) => {
      const lengths = Int32Array.from(batch, ([, { target }]) => target.length);
      const argmaxRows = unpackRows({ ids: argmax, lengths });
      unpackRows(tokens).forEach((generated, i) => {
        const [key, { target }] = present(batch[i]);
        known.set(key, {
          text: codec.answer(generated),
          tokens: generated.slice(),
          argmax: present(argmaxRows[i]).slice(),
          target,
          negLogLik: present(rowLoss[i]),
          ...(scope && { scope: { logit: present(scope.logit[i]), selected: present(scope.selected[i]) } }),
        });
      });
    },
  });
  return { answers: keys.map((key) => present(known.get(key))), asked: distinct.size };
}

function splitRows(values: Float32Array, lengths: readonly number[]): Float32Array[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return values.subarray(at - length, at);
  });
}

/** Σ KL(base ‖ edited) over the target tokens of each row that is `compared`, 0 for the others. */
export async function klOfRows<Edited extends EditedScorer>(
  base: BaseScorer<Edited>,
  edited: Edited,
  rows: readonly Row[],
  compared: readonly boolean[],
  { budget, maxNewTokens, tellGoldEdits = false, signal }: AskOptions,
): Promise<number[]> {
  const keyOf = (row: Row): string => rowKey(row, tellGoldEdits);
  const chosen = new Map(rows.flatMap((row, i) => (compared[i] ? [[keyOf(row), row] as const] : [])));
  const known = new Map<string, number>();
  await askInBatches({
    items: [...chosen],
    tokensOf: ([, row]) => rowTokens(row, maxNewTokens),
    sizes: budget.of("compare"),
    ask: (batch, measure) => {
      const asked = batch.map(([, row]) => row);
      return base.compare(edited, pairRows(asked), {
        ...rowNotes(asked, tellGoldEdits),
        ...(signal && { signal }),
        ...budget.options(measure),
      });
    },
    take: (batch, { kl }) => {
      const ofRow = splitRows(
        kl,
        batch.map(([, { target }]) => target.length),
      );
      batch.forEach(([key], i) => {
        known.set(
          key,
          present(ofRow[i]).reduce((sum, value) => sum + value, 0),
        );
      });
    },
  });
  return rows.map((row, i) => (compared[i] ? present(known.get(keyOf(row))) : 0));
}
