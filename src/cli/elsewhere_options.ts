import type { Options } from "yargs";

/** Options of `evaluate` for models and answers that others made; exactly one of the first four is given. */
export const elsewhereOptions = {
  editor: { type: "string", requiresArg: true, describe: "Folder of a trained editor" },
  edited: {
    type: "string",
    requiresArg: true,
    describe: "Folder of a model edited elsewhere, or of one for each episode of the questions",
  },
  predictions: {
    type: "string",
    requiresArg: true,
    describe: "JSON Lines of answers that any system gave to --questions: id, answer and, if known, base",
  },
  "questions-out": {
    type: "string",
    requiresArg: true,
    describe: "Write the edits and questions for such a system to this file and stop",
  },
  questions: {
    type: "string",
    requiresArg: true,
    describe: "File that --questions-out wrote (default with --edited: the records of --data are the edits)",
  },
  model: {
    type: "string",
    requiresArg: true,
    describe: "The unedited base model: a bundled one or a folder (default: the suite's)",
  },
  "out-of-scope": {
    type: "string",
    requiresArg: true,
    describe: "Data set or .jsonl file of out-of-scope questions, where all records of --data are edits",
  },
  schedule: {
    type: "string",
    requiresArg: true,
    describe:
      "When an edit is asked about: simultaneous, immediate, final or gap=<edits> (default: the suite's)",
  },
  name: { type: "string", requiresArg: true, describe: "What tables call the model or system" },
  "lm-eval": {
    type: "string",
    requiresArg: true,
    describe: "Also write results and samples as lm-evaluation-harness does, below this folder",
  },
} as const satisfies { readonly [name: string]: Options };
