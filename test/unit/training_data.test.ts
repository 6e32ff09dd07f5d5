import { beforeAll, describe, expect, it } from "vitest";
import { assetPath } from "../../src/config/paths.js";
import { recipeSchema } from "../../src/config/recipe.js";
import { trainingSchema } from "../../src/config/training.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import { type Dataset, type EditRecord, SPLITS } from "../../src/data/types.js";
import type { PairRows } from "../../src/native/addon.js";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { unpackRows } from "../../src/tokenizers/token_rows.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { TrainingEpisodes, toBatch, validationEpisodes } from "../../src/training/episode_source.js";
import { FactBatches } from "../../src/training/fact_batches.js";
import { factsOf, type TaughtDataset, tokeniseFacts } from "../../src/training/facts.js";
import { languageTask, perplexityOf } from "../../src/training/language_task.js";

let codec: EditCodec;
beforeAll(async () => {
  const tokenizer = await Tokenizer.load(assetPath("models", "t5-mini"));
  codec = new EditCodec(tokenizer, { answers: "text", targetVocabulary: tokenizer.vocabularySize });
});

const record = (i: number): EditRecord => ({
  id: `r${i}`,
  group: `g${i}`,
  x_e: `The capital of land${i} is`,
  y_e_options: [`new${i}`],
  in_scope: [{ x: `land${i} has the capital`, y: "COPY" }],
  in_scope_noisy: [],
  entailed: [],
  hard_out: [],
  x_loc: `The capital of land${i} is`,
  y_loc: [`town${i}`],
});

const records = Array.from({ length: 40 }, (_, i) => record(i));
const dataset = (all: readonly EditRecord[]): Dataset => ({
  name: "toy",
  splits: { train: all, validation: [], test: [] },
});

const taught = (all: readonly EditRecord[]): TaughtDataset => ({
  dataset: dataset(all),
  splits: SPLITS,
  share: 1,
});

describe("facts", () => {
  it("are all wordings with their answer", () => {
    const facts = factsOf([taught(records.slice(0, 2))], null, 0);
    expect(facts[1]).toEqual({
      wordings: ["The capital of land1 is", "land1 has the capital"],
      answers: ["town1"],
    });
  });

  it("leave out a wording with two answers, and facts that have no other", () => {
    const twin = { ...record(0), id: "twin", group: "twin", in_scope: [], y_loc: ["elsewhere"] };
    const facts = factsOf([taught([record(0), twin])], null, 0);
    expect(facts).toEqual([{ wordings: ["land0 has the capital"], answers: ["town0"] }]);
  });

  it("are those of the splits that are taught", () => {
    const [first, second] = [record(1), record(2)];
    const both = { name: "toy", splits: { train: [first], validation: [], test: [second] } };
    expect(factsOf([{ dataset: both, splits: ["train"], share: 1 }], null, 0)).toHaveLength(1);
    expect(factsOf([{ dataset: both, splits: SPLITS, share: 1 }], null, 0)).toHaveLength(2);
  });

  it("are of a share of the groups, the same for the same seed", () => {
    const half = { ...taught(records), share: 0.5 };
    expect(factsOf([half], null, 1)).toHaveLength(20);
    expect(factsOf([half], null, 1)).toEqual(factsOf([half], null, 1));
    expect(factsOf([half], null, 2)).not.toEqual(factsOf([half], null, 1));
  });

  it("are drawn by the seed when there are too many", () => {
    const few = factsOf([taught(records)], 5, 1);
    expect(few).toHaveLength(5);
    expect(factsOf([taught(records)], 5, 1)).toEqual(few);
    expect(factsOf([taught(records)], 5, 2)).not.toEqual(few);
  });

  it("come once a pass, in batches that depend on their number alone", async () => {
    const facts = await tokeniseFacts(factsOf([taught(records)], null, 0), codec);
    const options = { batchSize: 8, bucketBatches: 5, seed: 3 };
    const batches = new FactBatches(facts, options);
    const firstPass: PairRows[] = [];
    for (const i of [0, 1, 2, 3, 4]) firstPass.push(await batches.at(i));
    const answers = firstPass.flatMap(({ target }) =>
      unpackRows(target).map((row) => codec.answer(row).trim()),
    );
    expect(answers.toSorted()).toEqual(records.map(({ y_loc }) => y_loc[0]).toSorted());
    expect(await new FactBatches(facts, options).at(3)).toEqual(firstPass[3]);
    expect(await batches.at(8)).not.toEqual(firstPass[3]);
    expect(await new FactBatches(facts, options).at(8)).toEqual(await batches.at(8));
  });
});

describe("training episodes", () => {
  const training = trainingSchema.parse({ k: [1, 4], editsPerStep: 8, validationEpisodes: 6 });

  it("go on exactly where their state was taken", async () => {
    const first = new TrainingEpisodes([records, records.slice(0, 20)], codec, training, 5);
    await first.next();
    const { stateAfter } = await first.next();
    const third = await first.next();
    const resumed = new TrainingEpisodes([records, records.slice(0, 20)], codec, training, 5);
    resumed.restore(JSON.parse(JSON.stringify(stateAfter)));
    expect(await resumed.next()).toEqual(third);
  });

  it("pack as many rows in each group as there are edits", async () => {
    const { batch } = await new TrainingEpisodes([records], codec, training, 0).next();
    for (const rows of [batch.edits.source, batch.editText, batch.inScope.target, batch.outScope.source])
      expect(rows.lengths).toHaveLength(8);
  });

  it("pack so many episodes whatever their K, where that is asked for", async () => {
    const packed = trainingSchema.parse({ k: [1, 4], episodesPerStep: 3, validationEpisodes: 6 });
    const source = new TrainingEpisodes([records], codec, packed, 0);
    const sizes = new Set<number>();
    for (let i = 0; i < 12; i++) {
      const { batch } = await source.next();
      expect(batch.episodes).toBe(3);
      sizes.add(batch.edits.source.lengths.length);
    }
    expect(sizes).toEqual(new Set([3, 12]));
    const validation = await validationEpisodes([records], codec, packed);
    expect(validation.map(({ episodes }) => episodes)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it("take one in-scope pair an edit from an evaluation episode, a rephrase if there is one", async () => {
    const [episode] = evaluationEpisodes(records, 4, { outScope: { hardShare: 0, phrasing: "any" } });
    if (episode === undefined) throw new Error("expected an episode");
    expect(episode.inScope.length).toBeGreaterThan(4);
    const { inScope } = await toBatch({ K: 4, episodes: [episode] }, codec);
    const asked = unpackRows(inScope.source).map((row) => codec.answer(row).trim());
    expect(asked).toEqual(episode.edits.map(({ record: { in_scope } }) => in_scope[0]?.x));
  });

  it("refuse the state of other data", () => {
    const episodes = new TrainingEpisodes([records], codec, training, 0);
    expect(() => episodes.restore({ rng: "0".repeat(32), samplers: [] })).toThrow(/data sets/);
  });

  it("validate on the same episodes whatever the run's seed, with K that fits", async () => {
    const small = records.slice(0, 3);
    const batches = await validationEpisodes(
      [small],
      codec,
      trainingSchema.parse({ k: [64], validationEpisodes: 2 }),
    );
    expect(batches.map(({ editText }) => editText.lengths.length)).toEqual([2, 2]);
    await expect(validationEpisodes([[]], codec, training)).rejects.toMatchObject({ code: "DATA_INVALID" });
  });
});

describe("windows of text", () => {
  const recipe = recipeSchema.parse({
    name: "toy",
    seed: 3,
    model: { family: "t5" },
    passages: { windowTokens: 10 },
    training: { epochs: 2, batchSize: 4 },
  });
  const stream = Int32Array.from({ length: 95 }, (_, i) => i);

  it("show every token of a pass at most once, all but an edge at least once", async () => {
    const task = languageTask(stream, stream, recipe, 10);
    expect(task.itemCount).toBe(8);
    const seen: number[] = [];
    for (const i of [0, 1]) {
      const { source, target } = await task.batch(i);
      expect([...source.lengths]).toEqual([1, 1, 1, 1]);
      expect([...target.lengths]).toEqual([9, 9, 9, 9]);
      seen.push(...source.ids, ...target.ids);
    }
    expect(new Set(seen).size).toBe(80);
  });

  it("come in another order and from another start in the next pass, the same when asked anew", async () => {
    const task = languageTask(stream, stream, recipe, 10);
    const [first, second] = [await task.batch(0), await task.batch(2)];
    expect(second.source.ids).not.toEqual(first.source.ids);
    expect((await languageTask(stream, stream, recipe, 10).batch(2)).target).toEqual(second.target);
  });

  it("give the perplexity of a model that finds every token equally likely", async () => {
    const uniform = {
      score: async (batch: PairRows) => ({
        logProb: new Float32Array(),
        argmax: new Int32Array(),
        rowLoss: Float32Array.from(batch.target.lengths, (length) => length * Math.log(50)),
      }),
      generate: () => Promise.reject(new Error("not asked")),
    };
    const { value, tokens } = await perplexityOf(uniform, [stream.subarray(0, 10), stream.subarray(10, 20)]);
    expect(tokens).toBe(18);
    expect(value).toBeCloseTo(50, 4);
  });
});
