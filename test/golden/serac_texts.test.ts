import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { EditCodec } from "../../src/tokenizers/edit_codec.js";
import { SEPARATED_WORDS } from "../../src/tokenizers/router_texts.js";
import { DEFAULT_TEXT_LIMITS } from "../../src/tokenizers/text_limits.js";
import { Tokenizer } from "../../src/tokenizers/tokenizer.js";
import { type GoldenCase, goldenCases } from "../support/golden.js";
import { readIdRows } from "../support/safetensors.js";

const strings = z.array(z.string());
const caseSchema = z.looseObject({
  texts: z.looseObject({ outer: strings, loc: strings }),
  memory_inputs: strings.optional(),
  memory_labels: strings.optional(),
  spec_memory_inputs: strings.optional(),
  spec_memory_labels: strings.optional(),
});

/** Texts of the published code, and of the specification where they differ: only there edits that flip can be told. */
const prefixOf = ({ family }: GoldenCase): string => (family === "bert" ? "spec_" : "");

describe.each(goldenCases("serac").map((one) => [one.name, one] as const))("%s", (_, goldenCase) => {
  const { folder, family } = goldenCase;
  const prefix = prefixOf(goldenCase);
  const content = caseSchema.parse(goldenCase.content);
  const inputs = (prefix ? content.spec_memory_inputs : content.memory_inputs) ?? [];
  const labels = (prefix ? content.spec_memory_labels : content.memory_labels) ?? [];
  const edits = inputs.map((x_e, i) => ({ x_e, y_e: labels[i] ?? "" }));
  let codec: EditCodec;
  let ids: (name: string) => Promise<number[][]>;
  beforeAll(async () => {
    const [own, classifier] = await Promise.all(
      ["rep_tok", "cls_tok"].map((name) => Tokenizer.load(join(folder, name))),
    );
    if (own === undefined || classifier === undefined) throw new Error("expected two tokenizers");
    const answers = family === "bert" ? ("label" as const) : ("text" as const);
    codec = new EditCodec(
      own,
      { answers, targetVocabulary: family === "bert" ? 2 : own.vocabularySize },
      DEFAULT_TEXT_LIMITS,
      { tokenizer: classifier, form: SEPARATED_WORDS, counterfactual: own },
    );
    const bytes = await readFile(join(folder, "case.safetensors"));
    ids = async (name) => readIdRows(bytes, `${name}.input_ids`, `${name}.attention_mask`);
  });

  test.each(["outer", "loc"] as const)("%s: what the base reads", async (part) => {
    const rows = content.texts[part].map((x) => Array.from(codec.source(x)));
    expect(rows).toEqual(await ids(`in.${part}`));
  });

  test.each(["outer", "loc"] as const)("%s: what the classifier reads", async (part) => {
    const texts = edits.map((edit) => Array.from(codec.editText(edit).ids));
    const views = content.texts[part].map((x) => Array.from(codec.view(x)?.classifier ?? []));
    if (goldenCase.name.includes("cross")) {
      const pairs = views.flatMap((view) => texts.map((text) => [...text, ...view.slice(1)]));
      expect(pairs).toEqual(await ids(`${prefix}ids.${part}.cls_pairs`));
      return;
    }
    expect(texts).toEqual(await ids(`${prefix}ids.${part}.cls_ctx`));
    expect(views).toEqual(await ids(`${prefix}ids.${part}.cls_main`));
  });

  test("what the counterfactual model reads behind its gold edits", async () => {
    const gold = readIdRows(await readFile(join(folder, "case.safetensors")), "gold")[0] ?? [];
    const { editPrefix } = codec.editPrefixes(edits);
    const prefixes = edits.map((edit) => Array.from(codec.editPrefixes([edit]).editPrefix?.ids ?? []));
    expect(editPrefix?.lengths).toEqual(Int32Array.from(prefixes, ({ length }) => length));
    const rows = content.texts.outer.map((x, i) => [
      ...(prefixes[gold[i] ?? -1] ?? []),
      ...(codec.view(x)?.counterfactual ?? []),
    ]);
    expect(rows).toEqual(await ids(`${prefix}ids.outer.cf_gold`));
  });

  if (family === "bert")
    test("the published code drops the labels, which the specification writes", async () => {
      const [official, spec] = await Promise.all(
        ["official_", "spec_"].map((which) => ids(`${which}ids.outer.cf_gold`)),
      );
      expect(spec?.map((row) => row.length)).toEqual(official?.map((row) => row.length + 1));
    });
});
