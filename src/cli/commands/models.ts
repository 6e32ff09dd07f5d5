import type { ModelFigures } from "../../training/model_figures.js";
import { defineCommand } from "../command.js";

export const models = defineCommand({
  command: "models [action] [model]",
  describe: "List the bundled base models and what they know, or fetch a public model",
  examples: [
    ["models", "list the bundled base models with the figures of their records"],
    ["models fetch minilm", "fetch all-MiniLM-L6-v2 (84 MB), a sentence encoder for edits, into the cache"],
    ["models fetch minilm --out encoders/minilm", "the same into a folder of your own"],
  ],
  positionals: {
    action: { choices: ["list", "fetch"], default: "list", describe: "What to do" },
    model: { type: "string", describe: "The model to fetch" },
  },
  options: {
    out: { type: "string", requiresArg: true, describe: "Folder for the fetched model" },
    json: { type: "boolean", default: false, describe: "Print the list as JSON" },
  },
  run: async ({ action, model, out, json }) => {
    const { UsageError } = await import("../usage_error.js");
    if (action === "fetch") {
      if (model === undefined) throw new UsageError("Say which model to fetch: minilm.");
      const { runScript } = await import("../run_script.js");
      return runScript("fetch-model.mjs", [model, ...(out === undefined ? [] : ["--out", out])]);
    }
    if (model !== undefined || out !== undefined)
      throw new UsageError("A model and --out go with fetch: models fetch minilm --out DIR.");
    const list = await bundled();
    process.stdout.write(json ? `${JSON.stringify(list, null, 2)}\n` : list.map(modelText).join(""));
    return 0;
  },
});

interface BundledModel {
  readonly name: string;
  readonly family: string;
  readonly directory: string;
  readonly weightBytes: number;
  /** What its record says it knows; null where it has none. */
  readonly figures: ModelFigures | null;
}

async function bundled(): Promise<BundledModel[]> {
  const { readFile, stat } = await import("node:fs/promises");
  const { join } = await import("node:path");
  const { bundledModels, resolveModel } = await import("../../config/paths.js");
  const { readModelFigures } = await import("../../training/model_figures.js");
  return Promise.all(
    bundledModels().map(async (name) => {
      const directory = resolveModel(name);
      const config: { readonly model_type: string } = JSON.parse(
        await readFile(join(directory, "config.json"), "utf8"),
      );
      const { size } = await stat(join(directory, "model.safetensors"));
      const figures = await readModelFigures(directory);
      return { name, family: config.model_type, directory, weightBytes: size, figures };
    }),
  );
}

function modelText({ name, family, weightBytes, figures }: BundledModel): string {
  const lines = Object.entries(figures ?? {}).map(
    ([what, value]) =>
      `  ${what.padEnd(26)}${what.startsWith("perplexity") ? value.toFixed(1) : `${(100 * value).toFixed(1)} %`}\n`,
  );
  return `${name.padEnd(14)}${family}, ${(weightBytes / 1e6).toFixed(1)} MB\n${lines.join("")}`;
}
