import type { ReceiptBasis } from "../../src/evaluation/receipt.js";

export const RECEIPT_BASIS: ReceiptBasis = {
  code: { version: "0.1.0", commit: null },
  configHash: "0".repeat(16),
  dataHash: "d".repeat(64),
  tokenizerHash: "e".repeat(64),
  modelChecksum: "a".repeat(16),
  editorFingerprint: "f".repeat(16),
  machine: { cpu: "Example CPU", device: "cpu", threads: 1 },
  libtorch: "2.10.0",
  matmul: "default",
  kernels: "fused",
  seed: 0,
  deterministic: false,
};
