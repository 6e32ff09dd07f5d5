import type { z } from "zod";
import type { EditTextForm } from "../tokenizers/edit_text_form.js";
import { enn } from "./enn.js";
import { ft } from "./ft.js";
import { lookup } from "./lookup.js";
import { mend } from "./mend.js";
import type { ModelSource } from "./model_source.js";
import { nearest } from "./nearest.js";
import { seprog } from "./seprog.js";
import { serac } from "./serac.js";
import { slag } from "./slag.js";

/** How an editor with given options is used and what its answers mean. */
export interface EditorUse {
  /** What tables call the variant. */
  readonly variant: string;
  /** Whether it must be told which edit each question is about: an oracle shows what a decision costs. */
  readonly needsGoldEdits: boolean;
  /** Whether a question with a scope logit of at most 0 gets the base's own computation, to the bit. */
  readonly leavesGatedOffAlone: boolean;
  /** Whether it keeps answers at edit time: edits then come with out-of-scope questions of the train split. */
  readonly needsOutScope?: boolean;
}

/** Options of training that a method's authors set otherwise than the defaults of `training`. */
export type TrainingDefaults = Readonly<Record<string, number | string>>;

/** Which model's tokenizer reads the text of an edit, and how it is written. */
export interface EditText {
  readonly reader: ModelSource;
  readonly form: EditTextForm;
}

/**
 * What the TypeScript side knows of an editor; the native core decodes the same option names. Methods take the options
 * with their defaults filled in.
 */
export interface EditorDefinition<Spec extends z.ZodObject = z.ZodObject> {
  readonly kind: string;
  /** One line for people. */
  readonly title: string;
  /** Options with their defaults; `kind` is a literal. */
  readonly spec: Spec;
  /** Whether its edits live in an edit memory that can be listed, saved and changed. */
  readonly hasMemory: boolean;
  /** Laid under what a suite says of `training`. */
  readonly trainingDefaults: TrainingDefaults;
  /** Whether a training step can see its rows as episodes of several K: `kMixing: nested`. */
  readonly nestsK?: boolean;
  /** Whether there is something to learn before the first edit; else it is made from its options alone. */
  isTrained(spec: z.output<Spec>): boolean;
  /** Whether its start depends on a sample of training rows. */
  needsCalibration(spec: z.output<Spec>): boolean;
  /** Where its parts start, by the option that says so: all that may be another model than the base. */
  models(spec: z.output<Spec>): Readonly<Record<string, ModelSource>>;
  editText(spec: z.output<Spec>): EditText;
  /** The model that answers behind an edit; for editors with one, which read inputs in its tokens too. */
  counterfactual?(spec: z.output<Spec>): ModelSource;
  /** The options that decide the weights: those that only change the use are at their defaults. */
  trainingSpec(spec: z.output<Spec>): z.output<Spec>;
  /** The options as the native core reads them: those that do not apply are left out. */
  coreSpec(spec: z.output<Spec>): Partial<z.output<Spec>>;
  useOf(spec: z.output<Spec>): EditorUse;
}

/** A new editor adds one line here. */
export const EDITORS = {
  enn,
  ft,
  lookup,
  mend,
  nearest,
  seprog,
  serac,
  slag,
} as const;

export type EditorKind = keyof typeof EDITORS;
export type EditorSpec = { [Kind in EditorKind]: z.infer<(typeof EDITORS)[Kind]["spec"]> }[EditorKind];

/** What the table holds for a spec's kind: its methods take that very spec. */
const definitionOf = ({ kind }: EditorSpec): EditorDefinition => EDITORS[kind];

export const hasMemory = (spec: EditorSpec): boolean => definitionOf(spec).hasMemory;
export const nestsK = (spec: EditorSpec): boolean => definitionOf(spec).nestsK ?? false;
export const isTrained = (spec: EditorSpec): boolean => definitionOf(spec).isTrained(spec);
export const needsCalibration = (spec: EditorSpec): boolean => definitionOf(spec).needsCalibration(spec);
export const editText = (spec: EditorSpec): EditText => definitionOf(spec).editText(spec);
export const counterfactual = (spec: EditorSpec): ModelSource | undefined =>
  definitionOf(spec).counterfactual?.(spec);
export const editorModels = (spec: EditorSpec): Readonly<Record<string, ModelSource>> =>
  definitionOf(spec).models(spec);
export const trainingSpec = (spec: EditorSpec): EditorSpec =>
  definitionOf(spec).trainingSpec(spec) as EditorSpec;
export const coreSpec = (spec: EditorSpec): Partial<EditorSpec> => definitionOf(spec).coreSpec(spec);
export const useOf = (spec: EditorSpec): EditorUse => definitionOf(spec).useOf(spec);

/** Kinds with nothing to learn before the first edit. */
export const untrainedKinds = (): readonly string[] =>
  Object.values<EditorDefinition>(EDITORS)
    .filter(({ kind, spec, isTrained }) => !isTrained(spec.parse({ kind })))
    .map(({ kind }) => kind);

/** Names of the options of a kind; undefined for what is no kind. */
export const optionNames = (kind: unknown): readonly string[] | undefined => {
  const found = Object.values<EditorDefinition>(EDITORS).find((definition) => definition.kind === kind);
  return found && Object.keys(found.spec.shape);
};

/** Options of training that a method of this kind starts from; none for what is no kind. */
export const trainingDefaults = (kind: unknown): TrainingDefaults =>
  Object.entries<EditorDefinition>(EDITORS).find(([known]) => known === kind)?.[1].trainingDefaults ?? {};
