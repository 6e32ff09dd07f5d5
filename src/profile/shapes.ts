import {
  type HuggingFaceConfig,
  huggingFaceConfig,
  MODEL_FAMILIES,
  type TokenFacts,
} from "../models/registry.js";

const T5: TokenFacts = { vocabulary: 32_128, padId: 0, stopId: 1 };
const BART: TokenFacts = { vocabulary: 50_265, padId: 1, stopId: 2 };
const UNCASED: TokenFacts = { vocabulary: 30_522, padId: 0, stopId: 102 };
const CASED: TokenFacts = { vocabulary: 28_996, padId: 0, stopId: 102 };
/** One id more than the published vocabulary: the pad token that GPT-2 lacks. */
const GPT2: TokenFacts = { vocabulary: 50_258, padId: 50_257, stopId: 50_256 };

const t5 = (
  hiddenWidth: number,
  headWidth: number,
  heads: number,
  feedForwardWidth: number,
  layers: number,
) =>
  huggingFaceConfig(
    MODEL_FAMILIES.t5.shape.parse({
      family: "t5",
      hiddenWidth,
      headWidth,
      heads,
      feedForwardWidth,
      encoderLayers: layers,
      decoderLayers: layers,
    }),
    T5,
  );

const bart = (hiddenWidth: number, heads: number, layers: number) =>
  huggingFaceConfig(
    MODEL_FAMILIES.bart.shape.parse({
      family: "bart",
      hiddenWidth,
      heads,
      feedForwardWidth: 4 * hiddenWidth,
      encoderLayers: layers,
      decoderLayers: layers,
    }),
    BART,
  );

const encoder = (
  family: "bert" | "distilbert",
  hiddenWidth: number,
  heads: number,
  layers: number,
  tokens: TokenFacts,
) =>
  huggingFaceConfig(
    MODEL_FAMILIES[family].shape.parse({
      family,
      hiddenWidth,
      heads,
      feedForwardWidth: 4 * hiddenWidth,
      layers,
    }),
    tokens,
  );

const gpt2 = (hiddenWidth: number, heads: number, layers: number) =>
  huggingFaceConfig(
    MODEL_FAMILIES.gpt2.shape.parse({
      family: "gpt2",
      hiddenWidth,
      heads,
      feedForwardWidth: 4 * hiddenWidth,
      layers,
    }),
    GPT2,
  );

/** Published checkpoints by their sizes, as their config.json gives them (models.md). */
export const SHAPES = {
  "t5-small": t5(512, 64, 8, 2048, 6),
  "t5-base": t5(768, 64, 12, 3072, 12),
  "t5-large": t5(1024, 64, 16, 4096, 24),
  "t5-3b": t5(1024, 128, 32, 16_384, 24),
  "t5-11b": t5(1024, 128, 128, 65_536, 24),
  "bart-base": bart(768, 12, 6),
  "bart-large": bart(1024, 16, 12),
  "bert-base": encoder("bert", 768, 12, 12, UNCASED),
  "bert-large": encoder("bert", 1024, 16, 24, UNCASED),
  "distilbert-base": encoder("distilbert", 768, 12, 6, CASED),
  distilgpt2: gpt2(768, 12, 6),
  gpt2: gpt2(768, 12, 12),
  "gpt2-medium": gpt2(1024, 16, 24),
  "gpt2-large": gpt2(1280, 20, 36),
  "gpt2-xl": gpt2(1600, 25, 48),
} as const satisfies Readonly<Record<string, HuggingFaceConfig>>;

export type ShapeName = keyof typeof SHAPES;

export const shapeNames = Object.keys(SHAPES) as readonly ShapeName[];

export const isShape = (name: string): name is ShapeName => Object.hasOwn(SHAPES, name);

/** The `config.json` of a model of this shape. */
export const shapeConfig = (name: ShapeName): HuggingFaceConfig => SHAPES[name];
