import type { Estimate } from "../../metrics/bootstrap.js";
import { median } from "../../metrics/median_ratio.js";
import { leastRatioOverRounds, type Rounds } from "../../metrics/rounds.js";
import type { ResultTable } from "../content.js";
import { times } from "../number_format.js";
import { type Cost, EMPTY, estimateCell, samplesOf, TABLE_3 } from "./cost_columns.js";
import type { Setting } from "./settings.js";

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

/** A method at one K with what is known of its costs, measured or planned. */
export interface CostedMethod {
  readonly method: string;
  readonly variant: string;
  readonly K: number;
  /** Null where the method has no such cost or it is not known. */
  readonly samples: (cost: Cost) => Rounds | null;
}

const costedMethods = ({ records }: Setting): CostedMethod[] =>
  records.map((record) => ({
    method: record.method,
    variant: record.variant,
    K: record.K,
    samples: (cost) => samplesOf(record, cost),
  }));

/** The claims that the methods measured at this K can decide. */
export const judgedClaims = (setting: Setting, K: number): JudgedClaim[] =>
  judgeAt(costedMethods(setting), K);

function judgeAt(methods: readonly CostedMethod[], K: number): JudgedClaim[] {
  const own = methods.filter((method) => method.K === K);
  return CLAIMS.flatMap((claim) => judge(claim, own, K) ?? []);
}

function judge(claim: Claim, methods: readonly CostedMethod[], K: number): JudgedClaim | null {
  const cost = TABLE_3.find(({ title }) => title === claim.cost);
  const [cheaper, another] = ofVariants(methods, [claim.cheaper]);
  const denominator = cost && cheaper?.samples(cost);
  // Of two that are called SEPROG neither can be meant.
  if (!cost || !cheaper || another || !denominator) return null;
  const dearer = ofVariants(methods, claim.dearer)
    .map(({ method, samples }) => ({ method, samples: samples(cost) ?? [] }))
    .filter(({ samples }) => samples.length > 0)
    .toSorted((a, b) => median(a.samples.flat()) - median(b.samples.flat()));
  const measured = leastRatioOverRounds(
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
const ofVariants = (methods: readonly CostedMethod[], variants: readonly string[]): CostedMethod[] =>
  methods.filter(({ variant }) => variants.includes(variant));

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
export const claimTable = (setting: Setting): ResultTable | null =>
  claimTableOf(setting.title, costedMethods(setting));

/** The same of methods on one model, measured or planned. */
export function claimTableOf(title: string, methods: readonly CostedMethod[]): ResultTable | null {
  const Ks = [...new Set(methods.map(({ K }) => K))].toSorted((a, b) => a - b);
  const judged = Ks.flatMap((K) => judgeAt(methods, K));
  const claims = [...new Set(judged.map(({ claim }) => claim))];
  if (claims.length === 0) return null;
  return {
    title: `The paper's claims on costs · ${title}`,
    corner: "claim",
    columns: Ks.map((K) => ({
      title: `K = ${K}`,
      help: "Confirmed where the whole interval is above what rounds to the paper's factor, refuted where it is below, else undecided; the ratio is the dearer side's median / the cheaper one's",
    })),
    rows: claims.map((claim) => ({
      label: claim,
      cells: Ks.map((K) => {
        const found = judged.find((one) => one.claim === claim && one.K === K);
        if (found === undefined) return EMPTY;
        const cell = estimateCell(found.measured, times);
        return { ...cell, value: `${found.verdict}, ${cell.value}` };
      }),
      isMean: false,
    })),
  };
}
