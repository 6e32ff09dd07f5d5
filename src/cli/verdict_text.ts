import type { Difference, Verdict } from "../bench/verify_compare.js";

/** What `verify` says of one record, in lines. */
export function verdictText({ cell, same, sameTokens, receipt, answers, figures }: Verdict): string {
  const lines: string[] = [];
  if (same) lines.push(`${cell}: same outputs${answers ? ` (${sameAnswers(answers)})` : ""}`);
  else {
    lines.push(`${cell}: OTHER OUTPUTS`);
    if (answers) {
      const { different, total } = answers;
      lines.push(`  ${different} of ${total} answers differ`);
      if (different === 0 && !sameTokens)
        lines.push("  the answers read the same but are other token ids, or the record was changed");
      if (different > 0 && sameTokens)
        lines.push("  the answers written beside the record are not those it was made of");
    }
    lines.push(...figures.map(changed));
  }
  if (receipt.length > 0) {
    lines.push(same ? "  measured under other conditions:" : "  what is other than it was:");
    lines.push(...receipt.map((difference) => `  ${changed(difference)}`));
  } else if (!same) {
    lines.push(
      "  nothing in the receipt differs: the record was changed, or results hang on timing (see --deterministic)",
    );
  }
  return lines.map((line) => `${line}\n`).join("");
}

const changed = ({ what, before, after }: Difference): string =>
  `  ${what}: ${short(before)} → ${short(after)}`;

/** Hashes are told apart by their first digits. */
const short = (text: string): string => text.replace(/^([0-9a-f]{12})[0-9a-f]{4,}/, "$1");

function sameAnswers({ total, largestLossDifference }: NonNullable<Verdict["answers"]>): string {
  const apart =
    largestLossDifference === 0
      ? "losses equal to the last bit"
      : `losses apart by at most ${largestLossDifference.toExponential(1)}`;
  return `${total} answers, ${apart}`;
}
