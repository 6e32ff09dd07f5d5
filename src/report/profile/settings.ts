import type { ProfileRecord } from "../../profile/record.js";
import { groupBy } from "../group_by.js";

/** What methods are compared on: the same data, model and machine. */
export interface Setting {
  readonly title: string;
  /** Null where ids are random. */
  readonly dataset: string | null;
  readonly model: string;
  readonly device: string;
  readonly methods: readonly string[];
  /** Rising. */
  readonly Ks: readonly number[];
  readonly records: readonly ProfileRecord[];
}

export const threadsText = (threads: number): string => (threads === 1 ? "1 thread" : `${threads} threads`);

const partsOf = ({ dataset, model, device, dtype, threads, seed }: ProfileRecord): string[] => [
  dataset ?? "random ids",
  model,
  device,
  dtype,
  threadsText(threads),
  `seed ${seed}`,
];

export function settingsOf(records: readonly ProfileRecord[]): Setting[] {
  const groups = groupBy(records, (record) => partsOf(record).join(" · "));
  // A seed says nothing where there is one for all.
  const oneSeed = new Set(records.map(({ seed }) => seed)).size === 1;
  return [...groups.values()].flatMap((own) => {
    const [first] = own;
    if (first === undefined) return [];
    const { dataset, model, device } = first;
    return {
      title: partsOf(first)
        .slice(0, oneSeed ? -1 : undefined)
        .join(" · "),
      dataset,
      model,
      device,
      methods: [...new Set(own.map(({ method }) => method))],
      Ks: [...new Set(own.map(({ K }) => K))].toSorted((a, b) => a - b),
      records: own,
    };
  });
}

export const recordsAt = ({ records }: Setting, K: number): ProfileRecord[] =>
  records.filter((record) => record.K === K);

/** The method that others are compared with: SEPROG as published; undefined without one, or with several. */
export function referenceAt(setting: Setting, K: number): ProfileRecord | undefined {
  const plain = recordsAt(setting, K).filter(({ variant }) => variant === "seprog");
  return plain.length === 1 ? plain[0] : undefined;
}
