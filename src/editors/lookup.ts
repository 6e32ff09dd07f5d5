import { z } from "zod";
import { QUESTION_AND_ANSWER } from "../tokenizers/edit_text_form.js";
import type { EditorDefinition } from "./registry.js";

const lookupSpec = z.strictObject({ kind: z.literal("lookup") });

export type LookupSpec = z.infer<typeof lookupSpec>;

/** What exact string match achieves: a baseline that every method should beat (docs/simple-baselines.md). */
export const lookup: EditorDefinition<typeof lookupSpec> = {
  kind: "lookup",
  title: "Lookup: the edits' own questions, word for word, else the base",
  spec: lookupSpec,
  hasMemory: false,
  trainingDefaults: {},
  isTrained: () => false,
  needsCalibration: () => false,
  models: () => ({}),
  editText: () => ({ reader: { source: "base" }, form: QUESTION_AND_ANSWER }),
  trainingSpec: (spec) => spec,
  coreSpec: (spec) => spec,
  useOf: () => ({ variant: "lookup", needsGoldEdits: false, leavesGatedOffAlone: true }),
};
