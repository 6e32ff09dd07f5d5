import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { canonicalJson } from "../config/hash.js";
import { AnswerStore } from "../evaluation/answer_store.js";
import { KnownAnswers } from "../evaluation/known_answers.js";
import type { Engine } from "../native/engine.js";
import { kernelInfo } from "../native/kernels.js";
import { loadAddon, loadReport } from "../native/load.js";
import { cpuModel } from "./environment.js";

/** Raised when the same questions are put to a base model in another way. */
const ANSWERS_VERSION = 1;

/**
 * What earlier processes asked the base model, where it was computed just so: same weights in the same type, tokenizer,
 * addon and libtorch, processor, device, threads and libraries, down to the last bit.
 * @param model what its folder holds
 * @param base what the engine made of it
 * @param directory of the cache; null: nothing is looked up or kept
 */
export async function openKnownAnswers(
  engine: Engine,
  model: { readonly checksum: string },
  base: { readonly info: { readonly checksum: string } },
  directory: string | null,
): Promise<KnownAnswers> {
  if (directory === null) return new KnownAnswers();
  const { addonFile } = loadReport();
  const { size, mtimeMs } = statSync(addonFile);
  const identity = canonicalJson({
    version: ANSWERS_VERSION,
    folder: model.checksum,
    weights: base.info.checksum,
    addon: { version: loadAddon().buildInfo().version, size, mtimeMs },
    libtorch: loadAddon().buildInfo().libtorchLoaded,
    cpu: cpuModel(),
    device: engine.device,
    threads: engine.threads,
    deterministic: engine.deterministic,
    matmul: (await engine.matmulBackend()).name,
    kernels: kernelInfo().policy,
  });
  const name = createHash("sha256").update(identity).digest("hex").slice(0, 32);
  return KnownAnswers.open(new AnswerStore(directory, name));
}
