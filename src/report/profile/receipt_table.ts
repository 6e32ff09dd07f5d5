import type { ProfileRecord } from "../../profile/record.js";
import type { ResultTable } from "../content.js";
import { plain } from "./cost_columns.js";

const HASH_SHOWN = 12;

const hash = (value: string | null): string => value?.slice(0, HASH_SHOWN) ?? "–";

/** What each cell's figures rest on. */
export function receiptTable(records: readonly ProfileRecord[]): ResultTable {
  return {
    title: "What the figures rest on",
    corner: "cell",
    columns: [
      { title: "code", help: "Version of the package, and the commit where it is a source checkout" },
      { title: "configuration", help: "First digits of the hash of all options" },
      { title: "data", help: "First digits of the hash of the data" },
      { title: "tokenizer", help: "First digits of the hash of the tokenizer" },
      { title: "model weights", help: "First digits of the checksum of the base model's weights" },
      { title: "editor weights", help: "First digits of the editor's fingerprint" },
      { title: "output", help: "First digits of the hash over the answers' tokens: equal for equal answers" },
      { title: "libtorch", help: "Version of the library that computed" },
      { title: "matrix products", help: "The library of matrix products" },
      { title: "kernels", help: "Fused ops, or libtorch's own ops in their place (reference)" },
      {
        title: "deterministic",
        help: "Whether only operations with the same result every time were allowed",
      },
    ],
    rows: records.map(({ method, K, receipt }) => ({
      label: `${method}, K = ${K}`,
      cells: [
        plain(
          `${receipt.code.version}${receipt.code.commit === null ? "" : ` ${hash(receipt.code.commit)}`}`,
        ),
        plain(hash(receipt.configHash)),
        plain(hash(receipt.dataHash)),
        plain(hash(receipt.tokenizerHash)),
        plain(hash(receipt.modelChecksum)),
        plain(hash(receipt.editorFingerprint)),
        plain(hash(receipt.outputHash)),
        plain(receipt.libtorch),
        plain(receipt.matmul),
        plain(receipt.kernels ?? "–"),
        plain(receipt.deterministic ? "yes" : "no"),
      ],
      isMean: false,
    })),
  };
}
