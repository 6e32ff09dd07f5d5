import { matchesAny } from "../metrics/text.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { type Answering, type AnswerOptions, answerRows } from "./answer_rows.js";
import type { Fact } from "./facts.js";
import { Breather } from "./pause.js";

/** How many wordings and facts a model answers right by free generation. */
export interface Recall {
  readonly wordings: number;
  readonly wordingsRight: number;
  readonly facts: number;
  /** Right in every wording. */
  readonly factsRight: number;
}

/** Asks every wording of every fact, shortest first. */
export async function measureRecall(
  model: Answering,
  facts: readonly Fact[],
  codec: EditCodec,
  options: AnswerOptions,
): Promise<Recall> {
  const breather = new Breather();
  const rows: { readonly fact: number; readonly source: Int32Array }[] = [];
  for (const [fact, { wordings }] of facts.entries()) {
    for (const x of wordings) rows.push({ fact, source: codec.source(x) });
    await breather.pause();
  }
  const wrong = new Set<number>();
  let wordingsRight = 0;
  await answerRows(
    model,
    rows,
    codec,
    ({ fact }, answer) => {
      if (matchesAny(answer, facts[fact]?.answers ?? [])) wordingsRight += 1;
      else wrong.add(fact);
    },
    { phase: "evaluate", figures: (done) => ({ recall: wordingsRight / done }) },
    options,
  );
  return { wordings: rows.length, wordingsRight, facts: facts.length, factsRight: facts.length - wrong.size };
}
