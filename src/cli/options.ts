import type { Options } from "yargs";
import { BASE_DTYPES } from "../models/base_dtype.js";
import { byteCount, nameList, numberList, wholeNumber } from "./usage_error.js";

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

export const devicesOption = {
  ...deviceOption,
  describe: "Where to compute: cpu or cuda:N; several, separated by commas, get a process each",
} as const satisfies Options;

export const baseDtypeOption = {
  type: "string",
  choices: BASE_DTYPES,
  requiresArg: true,
  describe:
    "What the base model's large matrices are rounded to (default: fp32): fp16 for GPUs, bf16 where the processor has it, int8 to answer on a CPU",
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

export const memoryBudgetOption = {
  type: "string",
  requiresArg: true,
  coerce: byteCount("memory-budget"),
  describe:
    "Most memory of a batch of questions, e.g. 512MiB or 2GiB (default: half of what is free, shared by the processes); figures do not depend on it",
} as const satisfies Options;

export const cacheOption = {
  type: "boolean",
  default: true,
  describe: "Keep what base models say for later runs, and use what is kept (docs/evaluating.md)",
} as const satisfies Options;

export const jobsOption = {
  type: "number",
  requiresArg: true,
  coerce: wholeNumber("jobs", 1),
  describe: "Processes at once (default: one a device); more than one a device disturbs the timings",
} as const satisfies Options;
