import type { Estimate } from "../../metrics/bootstrap.js";
import { leastMedianRatio, median } from "../../metrics/median_ratio.js";
import type { ProfileRecord } from "../../profile/record.js";
import type { ResultTable } from "../content.js";
import { times } from "../number_format.js";
import { type Cost, EMPTY, estimateCell, samplesOf, TABLE_3 } from "./cost_columns.js";
import { recordsAt, referenceAt, type Setting } from "./settings.js";

export type Verdict = "confirmed" | "refuted" | "undecided";

/** A claim of the paper on costs, held against one setting at one K. */
export interface JudgedClaim {
  readonly K: number;
  readonly claim: string;
  readonly verdict: Verdict;
  /** How many times more the dearer side costs. */
  readonly measured: Estimate;
  readonly inWords: string;
}

/** The methods of the paper's comparison: its own ablations and simple baselines are not among them. */
const GRADIENT_METHODS = ["ft", "enn", "slag", "mend"];
const COMPARED_METHODS = [...GRADIENT_METHODS, "serac"];

/** What should cost more, in what, and how many times; `dearer` is the cheapest of its methods. */
interface Claim {
  readonly text: string;
  readonly cost: string;
  readonly dearer: readonly string[];
  readonly cheaper: string;
  readonly factor: number;
  /** The least ratio that rounds to what the paper says. */
  readonly atLeast: number;
}

const CLAIMS: readonly Claim[] = [
  {
    text: "SEPROG trains about 3× faster than the best gradient method",
    cost: "training time",
    dearer: GRADIENT_METHODS,
    cheaper: "seprog",
    factor: 3,
    atLeast: 2.5,
  },
  {
    text: "SEPROG trains in about half the memory of the best gradient method",
    cost: "training memory",
    dearer: GRADIENT_METHODS,
    cheaper: "seprog",
    factor: 2,
    atLeast: 1.5,
  },
  {
    text: "SERAC trains 1.8× faster than SEPROG",
    cost: "training time",
    dearer: ["seprog"],
    cheaper: "serac",
    factor: 1.8,
    atLeast: 1.75,
  },
  {
    text: "SERAC trains in 1.2× less memory than SEPROG",
    cost: "training memory",
    dearer: ["seprog"],
    cheaper: "serac",
    factor: 1.2,
    atLeast: 1.15,
  },
  {
    text: "SEPROG needs the least memory at inference",
    cost: "inference memory",
    dearer: COMPARED_METHODS,
    cheaper: "seprog",
    factor: 1,
    atLeast: 1,
  },
];

/** The claims that the methods measured at this K can decide. */
export function judgedClaims(setting: Setting, K: number): JudgedClaim[] {
  return CLAIMS.flatMap((claim) => judge(claim, setting, K) ?? []);
}

function judge(claim: Claim, setting: Setting, K: number): JudgedClaim | null {
  const cost = TABLE_3.find(({ title }) => title === claim.cost);
  const cheaper = claim.cheaper === "seprog" ? referenceAt(setting, K) : methodsAt(setting, K, ["serac"])[0];
  const denominator = cheaper && cost && samplesOf(cheaper, cost);
  if (!cheaper || !cost || !denominator) return null;
  const dearer = (
    claim.dearer[0] === "seprog" ? [referenceAt(setting, K)] : methodsAt(setting, K, claim.dearer)
  )
    .flatMap((record) => (record === undefined ? [] : [{ record, samples: samplesOf(record, cost) }]))
    .flatMap(({ record, samples }) => (samples === null ? [] : [{ method: record.method, samples }]))
    .toSorted((a, b) => median(a.samples) - median(b.samples));
  const measured = leastMedianRatio(
    dearer.map(({ samples }) => samples),
    denominator,
  );
  const [best] = dearer;
  if (measured === null || best === undefined) return null;
  const verdict = verdictOf(measured, claim.atLeast);
  return {
    K,
    claim: claim.text,
    verdict,
    measured,
    inWords: sentence(claim, cost, verdict, measured, best.method, cheaper.method),
  };
}

/** By variant: what a method is called is free. */
const methodsAt = (setting: Setting, K: number, variants: readonly string[]): ProfileRecord[] =>
  recordsAt(setting, K).filter(({ variant }) => variants.includes(variant));

export function verdictOf({ low, high }: Pick<Estimate, "low" | "high">, atLeast: number): Verdict {
  if (low > atLeast) return "confirmed";
  return high < atLeast ? "refuted" : "undecided";
}

function sentence(
  { factor, atLeast }: Claim,
  { of }: Cost,
  verdict: Verdict,
  measured: Estimate,
  dearer: string,
  cheaper: string,
): string {
  const { value, interval } = estimateCell(measured, times);
  const figure = interval === null ? value : `${value} (${interval})`;
  const what = of === "time" ? "the time" : "the memory";
  const fact = `${dearer} takes ${figure} ${what} of ${cheaper}`;
  if (verdict === "undecided") return `${fact}: the interval does not decide`;
  if (verdict === "confirmed")
    return factor > 1 && measured.low > factor * 1.5 ? `${fact}: more than the paper says` : fact;
  if (measured.low > 1 && atLeast > 1) return `${fact}: less than the paper says, in the same direction`;
  return measured.high < 1 ? `${fact}: ${cheaper} costs more` : `${fact}: no difference to speak of`;
}

/** The verdicts, a column a K; null where no claim can be judged. */
export function claimTable(setting: Setting): ResultTable | null {
  const judged = setting.Ks.flatMap((K) => judgedClaims(setting, K));
  const claims = [...new Set(judged.map(({ claim }) => claim))];
  if (claims.length === 0) return null;
  return {
    title: `The paper's claims on costs · ${setting.title}`,
    corner: "claim",
    columns: setting.Ks.map((K) => ({
      title: `K = ${K}`,
      help: "Confirmed where the whole interval is above what rounds to the paper's factor, refuted where it is below, else undecided; the ratio is the dearer side's median / the cheaper one's",
    })),
    rows: claims.map((claim) => ({
      label: claim,
      cells: setting.Ks.map((K) => {
        const found = judged.find((one) => one.claim === claim && one.K === K);
        if (found === undefined) return EMPTY;
        const cell = estimateCell(found.measured, times);
        return { ...cell, value: `${found.verdict}, ${cell.value}` };
      }),
      isMean: false,
    })),
  };
}
