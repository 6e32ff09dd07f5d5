import { matchesAny } from "../metrics/text.js";
import type { Generation, TokenRows } from "../native/addon.js";
import type { GenerationForm } from "../tokenizers/answer_form.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { packRows, unpackRows } from "../tokenizers/token_rows.js";
import type { OnEvent } from "./events.js";
import type { Fact } from "./facts.js";
import { Breather } from "./pause.js";
import { Pace } from "./progress.js";

/** How many wordings and facts a model answers right by free generation. */
export interface Recall {
  readonly wordings: number;
  readonly wordingsRight: number;
  readonly facts: number;
  /** Right in every wording. */
  readonly factsRight: number;
}

export interface Answering {
  generate(
    source: TokenRows,
    options: GenerationForm & { readonly maxNewTokens: number; readonly signal?: AbortSignal },
  ): Promise<Generation>;
}

export interface RecallOptions {
  readonly batchSize: number;
  readonly maxNewTokens: number;
  readonly signal?: AbortSignal;
  readonly onEvent?: OnEvent;
}

/** Asks every wording of every fact, shortest first. */
export async function measureRecall(
  model: Answering,
  facts: readonly Fact[],
  codec: EditCodec,
  { batchSize, maxNewTokens, signal, onEvent }: RecallOptions,
): Promise<Recall> {
  const breather = new Breather();
  const rows: { readonly fact: number; readonly source: Int32Array }[] = [];
  for (const [fact, { wordings }] of facts.entries()) {
    for (const x of wordings) rows.push({ fact, source: codec.source(x) });
    await breather.pause();
  }
  rows.sort((a, b) => a.source.length - b.source.length);
  const pace = new Pace(0, rows.length);
  const wrong = new Set<number>();
  let wordingsRight = 0;
  for (let from = 0; from < rows.length; from += batchSize) {
    const piece = rows.slice(from, from + batchSize);
    const source = packRows(piece.map((row) => row.source));
    const { tokens } = await model.generate(source, {
      maxNewTokens,
      ...codec.generation,
      ...(signal && { signal }),
    });
    unpackRows(tokens).forEach((ids, i) => {
      const fact = piece[i]?.fact ?? 0;
      if (matchesAny(codec.answer(ids), facts[fact]?.answers ?? [])) wordingsRight += 1;
      else wrong.add(fact);
    });
    const step = from + piece.length;
    onEvent?.({
      type: "progress",
      phase: "evaluate",
      step,
      total: rows.length,
      figures: { recall: wordingsRight / step },
      elapsedMs: pace.elapsedMs,
      etaMs: pace.etaMs(step),
    });
  }
  return { wordings: rows.length, wordingsRight, facts: facts.length, factsRight: facts.length - wrong.size };
}
