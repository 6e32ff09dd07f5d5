import type { Receipt } from "../evaluation/receipt.js";
import type { CellResult, EditRecordLine } from "../evaluation/records.js";

/** One thing that is other than it was. */
export interface Difference {
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

/** Every field of two receipts that differs, but their outputs. */
export function receiptDifferences(then: Receipt, now: Receipt): Difference[] {
  const fields = (receipt: Receipt): readonly (readonly [string, unknown])[] => [
    ["package version", receipt.code.version],
    ["code commit", receipt.code.commit],
    ["configuration", receipt.configHash],
    ["data", receipt.dataHash],
    ["tokenizer", receipt.tokenizerHash],
    ["base model", receipt.modelChecksum],
    ["editor", receipt.editorFingerprint],
    ["processor", receipt.machine.cpu],
    ["device", receipt.machine.device],
    ["threads", receipt.machine.threads],
    ["libtorch", receipt.libtorch],
    ["matrix library", receipt.matmul],
    ["kernels", receipt.kernels],
    ["seed", receipt.seed],
    ["deterministic", receipt.deterministic],
  ];
  const after = new Map(fields(now));
  return fields(then).flatMap(([what, value]) => difference(what, value, after.get(what)));
}

/** Nothing where the two are equal. */
export const difference = (what: string, before: unknown, after: unknown): Difference[] =>
  before === after ? [] : [{ what, before: String(before ?? "none"), after: String(after ?? "none") }];

/** How far two evaluations of the same questions are apart. */
export interface AnswerDifference {
  readonly total: number;
  /** Answers with other words, and questions that the other side does not have. */
  readonly different: number;
  /** Largest difference of −ln p of an expected answer; 0 means equal to the last bit. */
  readonly largestLossDifference: number;
}

export function answerDifference(
  then: readonly EditRecordLine[],
  now: readonly EditRecordLine[],
): AnswerDifference {
  const before = then.flatMap(probesOf);
  const after = now.flatMap(probesOf);
  let different = Math.abs(before.length - after.length);
  let largestLossDifference = 0;
  for (const [i, was] of before.entries()) {
    const is = after[i];
    if (is === undefined) break;
    if (was.input !== is.input || was.edited !== is.edited) different += 1;
    const apart = Math.abs((was.negLogLik ?? 0) - (is.negLogLik ?? 0));
    largestLossDifference = Math.max(largestLossDifference, apart);
  }
  return { total: before.length, different, largestLossDifference };
}

interface Probe {
  readonly input: string;
  readonly edited: string;
  readonly negLogLik?: number | null;
}

const probesOf = ({ self, inScope, noisy, outScope, hard }: EditRecordLine): Probe[] => [
  self,
  ...inScope,
  ...noisy,
  ...outScope,
  ...hard,
];

/** What became of a record that was replayed. */
export interface Verdict {
  readonly cell: string;
  /** Token ids, words and figures are those of the record. */
  readonly same: boolean;
  /** Whether the hash over the answers' token ids is the record's. */
  readonly sameTokens: boolean;
  readonly receipt: readonly Difference[];
  readonly answers: AnswerDifference | null;
  /** ES, DD and the like where they differ. */
  readonly figures: readonly Difference[];
}

export interface ReplayedCell {
  readonly result: CellResult;
  readonly receipt: Receipt;
  readonly edits: readonly EditRecordLine[];
}

export function judge(cell: string, then: ReplayedCell, now: ReplayedCell): Verdict {
  const sameTokens = then.receipt.outputHash === now.receipt.outputHash;
  const answers = answerDifference(then.edits, now.edits);
  const figures = [
    ...difference("episodes", ...both(then, now, ({ provenance }) => provenance.episodesChecksum)),
    ...difference("ES", ...both(then, now, ({ cell: { ES } }) => ES.value)),
    ...difference("DD", ...both(then, now, ({ cell: { DD } }) => DD?.value)),
  ];
  return {
    cell,
    same: sameTokens && answers.different === 0 && figures.length === 0,
    sameTokens,
    receipt: receiptDifferences(then.receipt, now.receipt),
    answers,
    figures,
  };
}

const both = (
  then: ReplayedCell,
  now: ReplayedCell,
  pick: (result: CellResult) => unknown,
): [unknown, unknown] => [pick(then.result), pick(now.result)];
