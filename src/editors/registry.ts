import type { z } from "zod";
import { seprog } from "./seprog.js";

/** How an editor with given options is used and what its answers mean. */
export interface EditorUse {
  /** What tables call the variant. */
  readonly variant: string;
  /** Whether it must be told which edit each question is about: an oracle shows what a decision costs. */
  readonly needsGoldEdits: boolean;
  /** Whether a question with a scope logit of at most 0 gets the base's own computation, to the bit. */
  readonly leavesGatedOffAlone: boolean;
}

/** What the TypeScript side knows of an editor; the native core decodes the same option names. */
export interface EditorDefinition<Spec extends z.ZodObject = z.ZodObject> {
  readonly kind: string;
  /** One line for people. */
  readonly title: string;
  /** Options with their defaults; `kind` is a literal. */
  readonly spec: Spec;
  /** Whether its edits live in an edit memory that can be listed, saved and changed. */
  readonly hasMemory: boolean;
  /** The options that decide the weights: those that only change the use are at their defaults. */
  trainingSpec(spec: z.output<Spec>): z.output<Spec>;
  /** The options as the native core reads them: those that do not apply are left out. */
  coreSpec(spec: z.output<Spec>): Partial<z.output<Spec>>;
  useOf(spec: z.output<Spec>): EditorUse;
}

/** A new editor adds one line here. */
export const EDITORS = { seprog } as const;

export type EditorKind = keyof typeof EDITORS;
export type EditorSpec = { [Kind in EditorKind]: z.infer<(typeof EDITORS)[Kind]["spec"]> }[EditorKind];

export const trainingSpec = (spec: EditorSpec): EditorSpec => EDITORS[spec.kind].trainingSpec(spec);
export const coreSpec = (spec: EditorSpec): Partial<EditorSpec> => EDITORS[spec.kind].coreSpec(spec);
export const useOf = (spec: EditorSpec): EditorUse => EDITORS[spec.kind].useOf(spec);
