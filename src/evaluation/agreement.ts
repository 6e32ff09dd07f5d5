import type { BootstrapOptions } from "../metrics/bootstrap.js";
import { drawdown } from "../metrics/drawdown.js";
import { editSuccess } from "../metrics/edit_success.js";
import { ratioEstimate } from "../metrics/ratio.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { Agreement, EditRecordLine } from "./records.js";

const probesOf = ({ self, inScope, noisy, outScope, hard }: EditRecordLine) => [
  self,
  ...inScope,
  ...noisy,
  ...outScope,
  ...hard,
];

/**
 * What rounding the base to `dtype` has changed: the same edits and questions with the base rounded (`lines`) and in fp32
 * (`wide`), line by line. Texts are compared as generated.
 */
export function agreementWithFp32(
  dtype: BaseDtype,
  lines: readonly EditRecordLine[],
  wide: readonly EditRecordLine[],
  bootstrap?: BootstrapOptions,
): Agreement {
  const same = (whose: "base" | "edited") =>
    ratioEstimate(
      lines.map((line, i) => {
        const theirs = wide[i] === undefined ? [] : probesOf(wide[i]);
        const probes = probesOf(line);
        const equal = probes.filter((probe, j) => probe[whose] === theirs[j]?.[whose]);
        return { numerator: equal.length, denominator: probes.length };
      }),
      bootstrap,
    );
  const valueIn = (metric: typeof editSuccess, edits: readonly EditRecordLine[]): number =>
    metric(edits, { resamples: 0 })?.value ?? Number.NaN;
  const compared = (metric: typeof editSuccess) => {
    const fp32 = valueIn(metric, wide);
    return { fp32, change: valueIn(metric, lines) - fp32 };
  };
  const [sameAnswers, sameBaseAnswers] = [same("edited"), same("base")];
  if (sameAnswers === null || sameBaseAnswers === null)
    throw new RangeError("expected at least one question to compare");
  return { dtype, sameAnswers, sameBaseAnswers, ES: compared(editSuccess), DD: compared(drawdown) };
}
