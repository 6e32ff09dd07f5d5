import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalJson, configHash } from "../../src/config/hash.js";
import { loadRecipe, loadSuite } from "../../src/config/load.js";
import { parseOverrides } from "../../src/config/overrides.js";
import { assetPath, bundledSuites, resolveModel } from "../../src/config/paths.js";
import { closest } from "../../src/config/suggest.js";
import { EDITORS } from "../../src/editors/registry.js";
import { SeprogError } from "../../src/errors.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "seprog-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function failure(work: () => unknown): SeprogError {
  try {
    work();
  } catch (error) {
    if (error instanceof SeprogError) return error;
    throw error;
  }
  throw new Error("expected a SeprogError but nothing was thrown");
}

const SMALL = `name: small
model: t5-mini
datasets: [counterfact]
k: [1, 4]
methods:
  seprog:
    editor: { kind: seprog }
`;

describe("suites", () => {
  it("fills in the defaults of the editor, the training and the evaluation", () => {
    const [entry] = loadSuite(write("small.yaml", SMALL)).datasets;
    const method = entry?.methods.seprog?.config;
    expect(method?.editor).toMatchObject({
      variant: "seprog",
      promptLength: 32,
      hiddenWidth: 768,
      lambda: 0.3,
      clipNorm: 5,
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
      editEncoder: { source: "base" },
    });
    expect(method?.training).toMatchObject({
      learningRate: 5e-5,
      warmupSteps: 10_000,
      stepsPerEpoch: 50,
      patienceEpochs: 200,
      validationEpisodes: 64,
    });
    expect(entry?.seeds).toEqual([0]);
  });

  it("lists all errors at once, each with file:line and the nearest known name", () => {
    const file = write(
      "typos.yaml",
      `name: small
model: t5-mini
datsets: [counterfact]
k: [1, -4]
methods:
  seprog:
    editor:
      kind: seprog
      promptLenght: 8
      lambda: 3
      editPool: maen
    training:
      learningRate: fast
`,
    );
    const error = failure(() => loadSuite(file));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message.split("\n")).toEqual([
      "7 errors in the configuration:",
      `  ${file}:1: expected an array for \`datasets\` but received nothing`,
      `  ${file}:3: unknown option \`datsets\`; did you mean "datasets"?`,
      `  ${file}:4: expected a number above 0 for \`k.1\` but received -4`,
      `  ${file}:9: unknown option \`methods.seprog.editor.promptLenght\`; did you mean "promptLength"?`,
      `  ${file}:10: expected a number of at most 1 for \`methods.seprog.editor.lambda\` but received 3`,
      `  ${file}:11: expected one of "mean", "first" (did you mean "mean"?) for \`methods.seprog.editor.editPool\` but received "maen"`,
      `  ${file}:13: expected a number for \`methods.seprog.training.learningRate\` but received "fast"`,
    ]);
  });

  it("lists every YAML syntax error with its line", () => {
    const file = write("syntax.yaml", "name: a\nname: b\nk: [1, 2\n");
    const error = failure(() => loadSuite(file));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(`${file}:2:`);
  });

  it("places rules over several options where they are broken", () => {
    const training = "    training: { k: [3, 64], kMixing: nested }";
    const file = write("nested.yaml", `${SMALL}${training}\n`);
    expect(failure(() => loadSuite(file)).message).toContain(
      `${file}:8: expected a divisor of the largest K (64) with kMixing: nested but received 3 (\`methods.seprog.training.k.0\`)`,
    );
  });

  it("refuses several K a step for editors that see their rows at one", () => {
    const nested = (editor: string) => {
      const training = "    training: { k: [4, 64], kMixing: nested }";
      return write("one_k.yaml", `${SMALL.replace("kind: seprog", editor)}${training}\n`);
    };
    for (const kind of ["mend", "serac", "slag"]) {
      const file = nested(`kind: ${kind}`);
      expect(failure(() => loadSuite(file)).message, kind).toContain(
        `${file}:8: expected drawn for an editor of kind ${kind}, whose step sees its rows at one K, but received nested (\`methods.seprog.training.kMixing\`)`,
      );
    }
    for (const kind of ["seprog", "enn", "ft"]) loadSuite(nested(`kind: ${kind}`));
  });

  it("refuses lists and methods that make no cells or the same cell twice", () => {
    const at = (settings: string[]) =>
      failure(() => loadSuite(write("cells.yaml", SMALL), parseOverrides(settings))).message;
    expect(at(["k=[1,4,1]"])).toContain("--set k=[1,4,1]: expected values that differ from each other (`k`)");
    expect(at(["seeds=[]"])).toContain("expected at least one item for `seeds`");
    expect(at(["methods={}"])).toContain("expected at least one method (`methods`)");
    expect(at(["methods={'a b': {editor: {kind: seprog}}}"])).toContain("names made of letters");
  });

  it("says which kinds of editor there are", () => {
    const file = write("kind.yaml", SMALL.replace("kind: seprog", "kind: serpog"));
    const known = Object.keys(EDITORS).map((kind) => `"${kind}"`);
    expect(failure(() => loadSuite(file)).message).toContain(
      `${file}:7: expected ${known.length > 1 ? "one of " : ""}${known.join(", ")} (did you mean "seprog"?) for \`methods.seprog.editor.kind\` but received "serpog"`,
    );
  });

  it("refuses a missing file and an unknown suite", () => {
    expect(failure(() => loadSuite("mimi")).message).toContain('did you mean "mini"?');
    expect(failure(() => loadSuite(folder)).code).toBe("CONFIG_INVALID");
  });

  it("accepts every bundled suite", () => {
    expect(bundledSuites()).toContain("mini");
    for (const name of bundledSuites()) expect(loadSuite(name).name).toBe(name);
  });
});

const GRID = `name: grid
model: t5-mini
datasets:
  - counterfact
  - name: zsre
    model: other
    k: [4]
    seeds: [0, 1]
    text: { maxSourceTokens: 7 }
    editor: { promptLength: 4 }
    training: { steps: 20 }
    evaluation: { maxEdits: 9 }
k: [1, 4]
methods:
  seprog:
    editor: { kind: seprog, lambda: 0.2 }
    training: { steps: 10, k: [8] }
  sp-noselect: { like: seprog, editor: { variant: noselect } }
text: { maxEditTokens: 9 }
`;

describe("data sets of a suite", () => {
  it("merge their parts over the suite's and every method's", () => {
    const [plain, changed] = loadSuite(write("grid.yaml", GRID)).datasets;
    expect([plain?.model, changed?.model]).toEqual(["t5-mini", "other"]);
    expect([plain?.k, changed?.k, plain?.seeds, changed?.seeds]).toEqual([[1, 4], [4], [0], [0, 1]]);
    expect([plain?.text, changed?.text]).toMatchObject([
      { maxSourceTokens: 32, maxEditTokens: 9 },
      { maxSourceTokens: 7, maxEditTokens: 9 },
    ]);
    expect([plain?.evaluation.maxEdits, changed?.evaluation.maxEdits]).toEqual([2000, 9]);
    for (const name of ["seprog", "sp-noselect"]) {
      expect(plain?.methods[name]?.config).toMatchObject({
        editor: { lambda: 0.2, promptLength: 32 },
        training: { steps: 10, k: [8] },
      });
      expect(changed?.methods[name]?.config).toMatchObject({
        editor: { lambda: 0.2, promptLength: 4 },
        training: { steps: 20, k: [8] },
      });
    }
    expect(plain?.methods["sp-noselect"]?.config.editor).toMatchObject({ variant: "noselect" });
    expect(plain?.methods.seprog?.config.editor).toMatchObject({ variant: "seprog" });
  });

  it("give way to overrides, of a method those that start from it too", () => {
    const settings = [
      "methods.seprog.training.steps=3",
      "methods.seprog.training.k.0=2",
      "k=[9]",
      "seeds=[5]",
    ];
    const overrides = parseOverrides([...settings, "text.maxSourceTokens=2", "model=mine"]);
    const [, changed] = loadSuite(write("grid2.yaml", GRID), overrides).datasets;
    expect(changed).toMatchObject({ model: "mine", k: [9], seeds: [5], text: { maxSourceTokens: 2 } });
    for (const name of ["seprog", "sp-noselect"])
      expect(changed?.methods[name]?.config.training).toMatchObject({ steps: 3, k: [2] });
  });

  it("may be called by their names, also those that have no parts yet", () => {
    const settings = [
      "datasets.zsre.training.steps=3",
      "datasets.counterfact.training.steps=4",
      "datasets.0.seeds=[2]",
    ];
    const [plain, changed] = loadSuite(write("grid3.yaml", GRID), parseOverrides(settings)).datasets;
    expect(changed?.methods.seprog?.config.training.steps).toBe(3);
    expect(plain).toMatchObject({ name: "counterfact", seeds: [2] });
    expect(plain?.methods.seprog?.config.training.steps).toBe(4);
    const bad = parseOverrides(["datasets.zsre.training.stesp=3"]);
    expect(failure(() => loadSuite(write("grid3.yaml", GRID), bad)).message).toContain(
      '--set datasets.zsre.training.stesp=3: unknown option `datasets.1.training.stesp`; did you mean "steps"?',
    );
  });

  it("are checked after merging, every error where its value stands", () => {
    const file = write(
      "gridbad.yaml",
      GRID.replace("promptLength: 4", "promptLenght: 4")
        .replace("steps: 20", "steps: none")
        .replace("maxEdits: 9", "maxEdits: 0")
        .replace("maxSourceTokens: 7", "maxSourceToken: 7")
        .replace("lambda: 0.2", "lambda: 7"),
    );
    expect(failure(() => loadSuite(file)).message.split("\n")).toEqual([
      "5 errors in the configuration:",
      `  ${file}:9: unknown option \`datasets.1.text.maxSourceToken\`; did you mean "maxSourceTokens"?`,
      `  ${file}:10: unknown option \`datasets.1.editor.promptLenght\`; did you mean "promptLength"?`,
      `  ${file}:11: expected a number for \`datasets.1.training.steps\` but received "none"`,
      `  ${file}:12: expected a number above 0 for \`datasets.1.evaluation.maxEdits\` but received 0`,
      `  ${file}:16: expected a number of at most 1 for \`methods.seprog.editor.lambda\` but received 7`,
    ]);
  });

  it("change editors' options where methods have them", () => {
    const suite = loadSuite(
      write(
        "kinds.yaml",
        `name: kinds
model: t5-mini
k: [1]
datasets:
  - { name: zsre, editor: { promptLength: 3 } }
methods:
  seprog: { editor: { kind: seprog } }
  lookup: { editor: { kind: lookup } }
`,
      ),
    );
    const methods = suite.datasets[0]?.methods;
    expect(methods?.seprog?.config.editor).toMatchObject({ kind: "seprog", promptLength: 3 });
    expect(methods?.lookup?.config.editor).toEqual({ kind: "lookup" });
  });

  it("need a base model each", () => {
    const file = write("gridmodel.yaml", GRID.replace("model: t5-mini\n", ""));
    expect(failure(() => loadSuite(file)).message).toContain(
      "expected a string for `model` but received nothing",
    );
    const given = GRID.replace("model: t5-mini\n", "").replace("  - counterfact\n", "");
    expect(loadSuite(write("gridmodel2.yaml", given)).datasets.map(({ model }) => model)).toEqual(["other"]);
  });
});

describe("methods that start from others", () => {
  it("are refused in circles and without the other", () => {
    const file = write(
      "like.yaml",
      GRID.replace("kind: seprog, lambda", "kind: seprog, lambda").replace("like: seprog", "like: seprg"),
    );
    expect(failure(() => loadSuite(file)).message).toContain('did you mean "seprog"?');
    const circle = write("circle.yaml", GRID.replace("  seprog:\n", "  seprog:\n    like: sp-noselect\n"));
    expect(failure(() => loadSuite(circle)).message).toContain("which starts from this one");
  });
});

describe("sweeps", () => {
  const swept = (sweep: string) =>
    write(
      "sweep.yaml",
      `${GRID}`.replace("  sp-noselect: {", `  lengths: { like: seprog, sweep: ${sweep} }\n  sp-noselect: {`),
    );

  it("make a method of each value, which wins over a data set's parts", () => {
    const [, entry] = loadSuite(swept("{ editor.promptLength: [1, 16] }")).datasets;
    expect(Object.keys(entry?.methods ?? {})).toEqual(["seprog", "lengths-p1", "lengths-p16", "sp-noselect"]);
    expect(entry?.methods["lengths-p16"]).toMatchObject({
      config: { editor: { promptLength: 16 }, training: { steps: 20 } },
      sweep: { of: "lengths", option: "editor.promptLength", value: "16" },
    });
  });

  it("name values that are lists", () => {
    const [entry] = loadSuite(swept("{ training.k: [[1], [1, 4]] }")).datasets;
    expect(Object.keys(entry?.methods ?? {})).toContain("lengths-k1-4");
  });

  it("say which value is wrong", () => {
    const file = swept("{ editor.promptLength: [1, 0] }");
    expect(failure(() => loadSuite(file)).message).toContain(
      `${file}:18: expected a number of at least 1 for \`methods.lengths.sweep.editor.promptLength.1\` but received 0`,
    );
    expect(
      failure(() => loadSuite(swept("{ editor.promptLength: [1], editor.lambda: [0.1] }"))).message,
    ).toContain("expected one option");
  });
});

describe("folders of the user", () => {
  const file = () => write("roots.yaml", SMALL.replace("t5-mini", "<models>/t5"));

  it("stand for their placeholders", () => {
    expect(loadSuite(file(), [], { models: "/checkpoints" }).datasets[0]?.model).toBe("/checkpoints/t5");
    expect(loadSuite(file()).datasets[0]?.model).toBe("<models>/t5");
  });

  it("are refused by a suite that has no use for them", () => {
    expect(failure(() => loadSuite(file(), [], { data: "/data" })).message).toContain("<data>");
  });
});

describe("overrides", () => {
  it("lay YAML values over the file, later ones over earlier ones", () => {
    const overrides = parseOverrides([
      "methods.seprog.editor.lambda=0.1",
      "k=[2, 8]",
      "k.1=9",
      "methods.seprog.training.learningRate=1e-3",
      "methods.seprog.editor.lambda=0.5",
    ]);
    const [entry] = loadSuite(write("over.yaml", SMALL), overrides).datasets;
    expect(entry?.k).toEqual([2, 9]);
    expect(entry?.methods.seprog?.config.editor).toMatchObject({ lambda: 0.5 });
    expect(entry?.methods.seprog?.config.training.learningRate).toBe(0.001);
  });

  it("are named in errors in place of a line", () => {
    const file = write("over2.yaml", SMALL);
    const error = failure(() =>
      loadSuite(file, parseOverrides(["methods.seprog.training.stpes=5", "methods.seprog.editor.lambda=2"])),
    );
    expect(error.message).toContain(
      '--set methods.seprog.training.stpes=5: unknown option `methods.seprog.training.stpes`; did you mean "steps"?',
    );
    expect(error.message).toContain("--set methods.seprog.editor.lambda=2: expected a number of at most 1");
  });

  it("reports every malformed one", () => {
    const error = failure(() => parseOverrides(["steps", "=3", "a..b=1", "k=[1"]));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message.split("\n")).toHaveLength(5);
  });
});

describe("recipes", () => {
  it("read the bundled one and know the folder its paths start from", () => {
    const { recipe, directory } = loadRecipe(assetPath("models", "t5-mini", "recipe.yaml"));
    expect(recipe.model.family).toBe("t5");
    expect(directory).toBe(assetPath("models", "t5-mini"));
  });

  it("refuse a missing required option with its path", () => {
    const file = write("recipe.yaml", "name: x\nmodel: {family: t5}\ndatasets: [counterfact]\n");
    expect(failure(() => loadRecipe(file)).message).toContain(
      "expected an object for `training` but received nothing",
    );
  });
});

describe("hash", () => {
  it("does not depend on key order and changes with any value", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: true })).toBe(
      '{"a":true,"b":[1,{"c":"x","d":null}]}',
    );
    expect(configHash({ a: 1, b: 2 })).toBe(configHash({ b: 2, a: 1 }));
    expect(configHash({ a: 1, b: 2 })).not.toBe(configHash({ a: 1, b: 3 }));
    expect(configHash({ a: 1 })).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe("names", () => {
  it("suggest only what is near", () => {
    expect(closest("promtLength", ["promptLength", "lambda"])).toBe("promptLength");
    expect(closest("prompt-length", ["promptLength", "lambda"])).toBe("promptLength");
    expect(closest("zebra", ["promptLength", "lambda"])).toBeUndefined();
  });

  it("resolve a model folder or say what is there", () => {
    expect(failure(() => resolveModel("no-such-model")).message).toContain("for `model` but received");
  });
});
