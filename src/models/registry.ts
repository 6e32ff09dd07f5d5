import type { z } from "zod";
import { bart } from "./bart.js";
import { bert } from "./bert.js";
import { distilbert } from "./distilbert.js";
import { gpt2 } from "./gpt2.js";
import { t5 } from "./t5.js";

/** What a tokenizer decides about a new model. */
export interface TokenFacts {
  readonly vocabulary: number;
  readonly padId: number;
  readonly stopId: number;
}

/** A field of a Hugging Face `config.json` as the native core reads it. */
export type ConfigValue = null | boolean | number | string | readonly ConfigValue[];
export type HuggingFaceConfig = { readonly [field: string]: ConfigValue };

/** How a new model of a family is described in a recipe. Existing checkpoints are read from their own config.json. */
export interface ModelFamily<Shape extends z.ZodObject = z.ZodObject> {
  readonly family: string;
  readonly shape: Shape;
  toHuggingFace(shape: z.infer<Shape>, tokens: TokenFacts): HuggingFaceConfig;
}

/** A new base model family adds one line here. */
export const MODEL_FAMILIES = { t5, bart, bert, distilbert, gpt2 } as const;

export type FamilyName = keyof typeof MODEL_FAMILIES;
export type ModelShape = {
  [Name in FamilyName]: z.infer<(typeof MODEL_FAMILIES)[Name]["shape"]>;
}[FamilyName];

/** The `config.json` of a new model. */
export function huggingFaceConfig(shape: ModelShape, tokens: TokenFacts): HuggingFaceConfig {
  const family: ModelFamily = MODEL_FAMILIES[shape.family];
  return family.toHuggingFace(shape, tokens);
}
