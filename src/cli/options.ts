import type { Options } from "yargs";
import { nameList, numberList, wholeNumber } from "./usage_error.js";

/** Options that several commands share, so that they mean and read the same everywhere. */
export const setOption = {
  type: "string",
  array: true,
  nargs: 1,
  requiresArg: true,
  default: [] as string[],
  defaultDescription: "none",
  describe: "Override one option of the configuration: key=value with a YAML value; may be repeated",
} as const satisfies Options;

export const deviceOption = {
  type: "string",
  requiresArg: true,
  default: "cpu",
  describe: "Where to compute: cpu or cuda:N",
} as const satisfies Options;

export const threadsOption = {
  type: "number",
  requiresArg: true,
  coerce: wholeNumber("threads", 1),
  describe: "Compute threads (default: the cores this process may use)",
} as const satisfies Options;

export const deterministicOption = {
  type: "boolean",
  default: false,
  describe: "The same bits again on this machine with as many threads; may take more time",
} as const satisfies Options;

export const seedOption = {
  type: "number",
  requiresArg: true,
  coerce: wholeNumber("seed", 0),
  describe: "Random seed, in place of the configuration's",
} as const satisfies Options;

export const dataOption = {
  type: "string",
  requiresArg: true,
  describe:
    "Your own edits: a JSON Lines file of common records, in place of the data sets; for a suite of official files the folder they stand in",
} as const satisfies Options;

export const modelsOption = {
  type: "string",
  requiresArg: true,
  describe: "Folder of the checkpoints, for a suite that is measured on them (paper)",
} as const satisfies Options;

export const suiteOption = {
  type: "string",
  requiresArg: true,
  default: "mini",
  describe: "A bundled suite's name or a YAML file",
} as const satisfies Options;

export const editorOption = {
  type: "string",
  requiresArg: true,
  describe:
    "Folder of a trained editor (default: the bundled one), or a kind that needs no training: ft, lookup, nearest",
} as const satisfies Options;

export const editorSetOption = {
  ...setOption,
  describe: "An option of an editor that needs no training: key=value; may be repeated",
} as const satisfies Options;

export const memoryOption = {
  type: "string",
  requiresArg: true,
  describe: "File of edits",
} as const satisfies Options;

export const modelOption = {
  type: "string",
  requiresArg: true,
  describe:
    "The base model, where it is not where the editor was trained with it, and of an editor that needs no training",
} as const satisfies Options;

export const methodsOption = {
  type: "string",
  requiresArg: true,
  coerce: nameList,
  describe: "Only these methods of the suite, separated by commas",
} as const satisfies Options;

export const datasetsOption = {
  type: "string",
  requiresArg: true,
  coerce: nameList,
  describe: "Only these data sets of the suite, separated by commas",
} as const satisfies Options;

export const kOption = {
  type: "string",
  requiresArg: true,
  coerce: numberList("k", 1),
  describe: "Only these K of the suite, separated by commas",
} as const satisfies Options;

export const microBatchOption = {
  type: "number",
  requiresArg: true,
  coerce: wholeNumber("micro-batch", 1),
  describe: "Rows worked on at once by methods that work in chunks: less memory, more time, the same figures",
} as const satisfies Options;

export const jobsOption = {
  type: "number",
  requiresArg: true,
  default: 1,
  coerce: wholeNumber("jobs", 1),
  describe: "Cells measured at once; more than one disturbs the timings",
} as const satisfies Options;
