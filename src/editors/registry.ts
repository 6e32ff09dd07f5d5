import type { z } from "zod";
import { seprog } from "./seprog.js";

/** What the TypeScript side knows of an editor; the native core decodes the same option names. */
export interface EditorDefinition<Spec extends z.ZodObject = z.ZodObject> {
  readonly kind: string;
  /** One line for people. */
  readonly title: string;
  /** Options with their defaults; `kind` is a literal. */
  readonly spec: Spec;
  /** Whether its edits live in an edit memory that can be listed, saved and changed. */
  readonly hasMemory: boolean;
}

/** A new editor adds one line here. */
export const EDITORS = { seprog } as const;

export type EditorKind = keyof typeof EDITORS;
export type EditorSpec = { [Kind in EditorKind]: z.infer<(typeof EDITORS)[Kind]["spec"]> }[EditorKind];
