// The shapes against the published numbers of parameters, each by its closed form.
import { describe, expect, it } from "vitest";
import { SHAPES, type ShapeName, shapeConfig, shapeNames } from "../../src/profile/shapes.js";

type Config = { readonly [field: string]: unknown };

const at = (config: Config, field: string): number => Number(config[field]);

/** Tied head; every stack has one table of relative biases. */
function t5Parameters(config: Config): number {
  const [d, ff, heads, layers] = ["d_model", "d_ff", "num_heads", "num_layers"].map((field) =>
    at(config, field),
  ) as [number, number, number, number];
  const inner = heads * at(config, "d_kv");
  const attention = 4 * d * inner + d;
  const feedForward = 2 * d * ff + d;
  const biases = at(config, "relative_attention_num_buckets") * heads;
  const encoder = layers * (attention + feedForward) + biases + d;
  const decoder = at(config, "num_decoder_layers") * (2 * attention + feedForward) + biases + d;
  return at(config, "vocab_size") * d + encoder + decoder;
}

const layerNorm = (d: number): number => 2 * d;
const linear = (from: number, to: number): number => from * to + to;
const attentionOf = (d: number): number => 4 * linear(d, d);

/** Learned positions with an offset of two. */
function bartParameters(config: Config): number {
  const [d, ff] = [at(config, "d_model"), at(config, "encoder_ffn_dim")];
  const feedForward = linear(d, ff) + linear(ff, d) + layerNorm(d);
  const encoder = at(config, "encoder_layers") * (attentionOf(d) + layerNorm(d) + feedForward);
  const decoder = at(config, "decoder_layers") * (2 * (attentionOf(d) + layerNorm(d)) + feedForward);
  const positions = 2 * (at(config, "max_position_embeddings") + 2) * d;
  return at(config, "vocab_size") * d + positions + 2 * layerNorm(d) + encoder + decoder;
}

/** With its pooler and a head of one logit. */
function bertParameters(config: Config): number {
  const [d, ff] = [at(config, "hidden_size"), at(config, "intermediate_size")];
  const block = attentionOf(d) + linear(d, ff) + linear(ff, d) + 2 * layerNorm(d);
  const tables = at(config, "vocab_size") + at(config, "max_position_embeddings") + 2;
  return tables * d + layerNorm(d) + at(config, "num_hidden_layers") * block + linear(d, d) + linear(d, 1);
}

/** With a head of two classes behind one more layer. */
function distilbertParameters(config: Config): number {
  const [d, ff] = [at(config, "dim"), at(config, "hidden_dim")];
  const block = attentionOf(d) + linear(d, ff) + linear(ff, d) + 2 * layerNorm(d);
  const tables = at(config, "vocab_size") + at(config, "max_position_embeddings");
  return tables * d + layerNorm(d) + at(config, "n_layers") * block + linear(d, d) + linear(d, 2);
}

function gpt2Parameters(config: Config): number {
  const [d, ff] = [at(config, "n_embd"), at(config, "n_inner")];
  const block = linear(d, 3 * d) + linear(d, d) + linear(d, ff) + linear(ff, d) + 2 * layerNorm(d);
  return (
    (at(config, "vocab_size") + at(config, "n_positions")) * d + at(config, "n_layer") * block + layerNorm(d)
  );
}

const COUNTS: Readonly<Record<string, (config: Config) => number>> = {
  t5: t5Parameters,
  bart: bartParameters,
  bert: bertParameters,
  distilbert: distilbertParameters,
  gpt2: gpt2Parameters,
};

/** As published; of GPT-2 without the row of the pad token that it is given here. */
const PUBLISHED: Readonly<Record<ShapeName, number>> = {
  "t5-small": 60_506_624,
  "t5-base": 222_903_552,
  "t5-large": 737_668_096,
  "t5-3b": 2_851_598_336,
  "t5-11b": 11_307_321_344,
  "bart-base": 139_420_416,
  "bart-large": 406_291_456,
  "bert-base": 109_482_240 + 769,
  "bert-large": 335_141_888 + 1025,
  "distilbert-base": 65_190_912 + 590_592 + 1538,
  distilgpt2: 81_912_576,
  gpt2: 124_439_808,
  "gpt2-medium": 354_823_168,
  "gpt2-large": 774_030_080,
  "gpt2-xl": 1_557_611_200,
};

describe("shapes", () => {
  it.each(shapeNames)("%s has the published number of parameters", (name) => {
    const config = shapeConfig(name);
    const family = String(config.model_type);
    const padRow = family === "gpt2" ? at(config, "n_embd") : 0;
    expect(COUNTS[family]?.(config)).toBe(PUBLISHED[name] + padRow);
  });

  it("are all checked", () => {
    expect(Object.keys(PUBLISHED).sort()).toEqual(Object.keys(SHAPES).sort());
  });
});
