import { z } from "zod";
import { SeprogError } from "../../errors.js";
import { hasAsset, readAssetRows } from "../assets.js";
import { type LoadContext, type OfficialForm, officialForm } from "../official_files.js";
import { loadPassages, type Passage } from "../passages.js";
import { toDataset } from "../splits.js";
import { type Dataset, type EditRecord, SPLITS } from "../types.js";
import { readSelfSample } from "./wikipedia_files.js";
import { assignOfficialSplits } from "./zsre.js";

const EDITS = "wikipedia/edits.jsonl.gz";
/** Of WikiText's training file MEND takes the first tenth for passages out of scope, of the validation file all. */
const TRAIN_SHARE = 0.1;

/** What the base model was made to say after the start of a passage. */
const editSchema = z.strictObject({
  /** Of the passage. */
  id: z.string(),
  /** Characters of the passage that are the edit's input. */
  inputLength: z.int().positive(),
  /** Characters of that input without its last tokens. */
  headLength: z.int().positive(),
  continuation: z.string().min(1),
});

function toRecord({ id, split, text }: Passage, edit: z.infer<typeof editSchema>): EditRecord {
  const input = text.slice(0, edit.inputLength);
  return {
    id,
    // Passages of one article are apart: there are fewer articles in a split than edits in an episode.
    group: id,
    x_e: input,
    y_e_options: [edit.continuation],
    in_scope: [],
    in_scope_noisy: [],
    entailed: [],
    hard_out: [],
    x_loc: input.slice(0, edit.headLength),
    y_loc: [input.slice(edit.headLength)],
    split,
  };
}

/**
 * Embedded passages of WikiText-103 with ten tokens that `gpt2-mini` made up after them (MEND's `self_sample`).
 * @throws SeprogError DATA_INVALID if the continuations are missing or the files are damaged
 */
export async function loadWikipedia({ root }: { readonly root?: string } = {}): Promise<Dataset> {
  if (!(await hasAsset(EDITS, root)))
    throw new SeprogError(
      "DATA_INVALID",
      `expected the continuations of the Wikipedia passages (${EDITS}) but they were not sampled yet; ` +
        "run node scripts/data/build_wikipedia_edits.mjs --model assets/models/gpt2-mini",
    );
  const edits = new Map(
    (await readAssetRows(EDITS, editSchema, root)).map((edit) => [edit.id, edit] as const),
  );
  const passages = await loadPassages(root);
  const records = SPLITS.flatMap((split) =>
    passages[split].flatMap((passage) => {
      const edit = edits.get(passage.id);
      return edit === undefined ? [] : [toRecord(passage, edit)];
    }),
  );
  return toDataset("wikipedia", records);
}

export interface WikipediaFiles {
  /** `self_sample` files. */
  readonly train: string;
  readonly test: string;
  /** WikiText-103, raw where there is a choice: the passages are shown as they stand. */
  readonly wikitextTrain: string;
  readonly wikitextValidation: string;
}

/**
 * MEND's files: train.json minus 5 % for early stopping, valid.json to test with.
 * @throws SeprogError CONFIG_INVALID without a tokenizer, DATA_INVALID for bad files
 */
export async function loadWikipediaFiles(
  files: WikipediaFiles,
  { tokenizer }: LoadContext,
): Promise<Dataset> {
  if (tokenizer === undefined)
    throw new SeprogError(
      "CONFIG_INVALID",
      "expected a base model for `data` wikipedia:FOLDER, whose completions are cut by its tokens, but received none; give --model",
    );
  const train = await readSelfSample(
    files.train,
    { path: files.wikitextTrain, share: TRAIN_SHARE },
    tokenizer,
  );
  const test = await readSelfSample(files.test, { path: files.wikitextValidation, share: 1 }, tokenizer);
  return toDataset("wikipedia", assignOfficialSplits(train, test));
}

export const WIKIPEDIA_FORMS: readonly OfficialForm[] = [
  officialForm({
    title: "MEND's 10token/self_sample, with WikiText-103",
    files: {
      train: ["train.json"],
      test: ["valid.json"],
      wikitextTrain: ["wiki.train.raw", "wiki.train.tokens"],
      wikitextValidation: ["wiki.valid.raw", "wiki.valid.tokens"],
    },
    load: loadWikipediaFiles,
  }),
];
