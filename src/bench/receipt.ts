import { createHash } from "node:crypto";
import { canonicalJson } from "../config/hash.js";
import type { ReceiptBasis } from "../evaluation/receipt.js";
import type { Engine } from "../native/engine.js";
import { kernelInfo } from "../native/kernels.js";
import { loadAddon } from "../native/load.js";
import { readDefinition } from "../tokenizers/tokenizer_files.js";
import { codeCommit, cpuModel } from "./environment.js";

/** What a process knows of a measurement beside its engine. */
export type Measured = Pick<
  ReceiptBasis,
  "configHash" | "dataHash" | "tokenizerHash" | "modelChecksum" | "editorFingerprint" | "seed"
>;

/** The receipt of what this process measures on `engine`, before the outputs are known. */
export async function receiptBasis(engine: Engine, measured: Measured): Promise<ReceiptBasis> {
  const { version, libtorchLoaded } = loadAddon().buildInfo();
  return {
    ...measured,
    code: { version, commit: codeCommit() },
    machine: { cpu: cpuModel(), device: engine.device, threads: engine.threads },
    libtorch: libtorchLoaded,
    matmul: (await engine.matmulBackend()).name,
    kernels: kernelInfo().policy,
    deterministic: engine.deterministic,
  };
}

/**
 * SHA-256 over the definition of a model folder's tokenizer, whichever files it stands in.
 * @throws SeprogError as `Tokenizer.load`
 */
export async function tokenizerHash(folder: string): Promise<string> {
  const { definition } = await readDefinition(folder);
  return createHash("sha256").update(canonicalJson(definition)).digest("hex");
}
