import { createHash } from "node:crypto";
import { z } from "zod";

/**
 * What figures rest on: equal receipts mean the same work on the same machine. Hashes are SHA-256; those that name other
 * records too (configuration, a bundled data set's published checksums) are cut to 16 hex digits.
 */
export const receiptSchema = z.strictObject({
  /** `commit` ends with `+changes` where the checkout's code is not that commit's; null in an installed package. */
  code: z.strictObject({ version: z.string(), commit: z.string().nullable() }),
  configHash: z.string(),
  /** Of the data set's files; null where ids are random. */
  dataHash: z.string().nullable(),
  /** Of the base model's; null where ids are random. */
  tokenizerHash: z.string().nullable(),
  /** The engine's own checksum of the base weights and of the editor's. */
  modelChecksum: z.string(),
  editorFingerprint: z.string().nullable(),
  /** Over the edited models' answers as token ids, in order. */
  outputHash: z.string(),
  machine: z.strictObject({ cpu: z.string(), device: z.string(), threads: z.int().positive() }),
  libtorch: z.string(),
  /** The library of fp32 matrix products. */
  matmul: z.string(),
  /** "fused" | "reference"; null in receipts from before ops had kernels of their own. */
  kernels: z.string().nullable().default(null),
  seed: z.int(),
  deterministic: z.boolean(),
});
export type Receipt = z.infer<typeof receiptSchema>;

/** All of a receipt that is known before anything is asked. */
export type ReceiptBasis = Omit<Receipt, "outputHash">;

/** The environment in which a process makes the choices that a receipt names, which it would else make for itself. */
export const choicesOf = ({
  matmul,
  kernels,
}: Pick<Receipt, "matmul" | "kernels">): Record<string, string> => ({
  SEPROG_MATMUL: matmul,
  ...(kernels !== null && { SEPROG_KERNELS: kernels }),
});

/** SHA-256 over rows of token ids: for each its length and its ids, as little-endian 32-bit integers. */
export class OutputHash {
  readonly #hash = createHash("sha256");

  add(rows: Iterable<Int32Array>): void {
    for (const ids of rows) {
      const bytes = new DataView(new ArrayBuffer(4 * (ids.length + 1)));
      bytes.setInt32(0, ids.length, true);
      ids.forEach((id, i) => {
        bytes.setInt32(4 * (i + 1), id, true);
      });
      this.#hash.update(bytes);
    }
  }

  /** 64 hex digits; nothing may be added afterwards. */
  digest(): string {
    return this.#hash.digest("hex");
  }
}
