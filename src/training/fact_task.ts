import type { RecipeConfig } from "../config/recipe.js";
import { Rng } from "../data/random.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import type { OnEvent } from "./events.js";
import { FactBatches } from "./fact_batches.js";
import { type Fact, tokeniseFacts } from "./facts.js";
import type { PretrainingTask } from "./pretraining_task.js";
import { measureRecall } from "./recall.js";

/** Teaches facts: a pass shows every fact once, in one of its wordings; examined by free answers to a sample. */
export async function factTask(
  facts: readonly Fact[],
  codec: EditCodec,
  { training, seed, text }: RecipeConfig,
  onEvent?: OnEvent,
): Promise<PretrainingTask> {
  const batches = new FactBatches(await tokeniseFacts(facts, codec, onEvent), { ...training, seed });
  const probes = sampleWordings(facts, training.validationRows, seed);
  return {
    itemCount: facts.length,
    batch: (index) => batches.at(index),
    examine: async (model, options = {}) => {
      const recall = await measureRecall(model, probes, codec, {
        batchSize: 512,
        maxNewTokens: text.maxTargetTokens,
        ...options,
      });
      return { recall: recall.wordingsRight / recall.wordings };
    },
  };
}

/** One wording each of at most `count` facts, the same whenever asked. */
function sampleWordings(facts: readonly Fact[], count: number, seed: number): Fact[] {
  const rng = Rng.fromSeed(seed ^ 0x5a5a5a5a);
  const drawn = rng.shuffle([...facts]).slice(0, count);
  return drawn.map(({ wordings, answers }) => ({ wordings: [rng.pick(wordings)], answers }));
}
