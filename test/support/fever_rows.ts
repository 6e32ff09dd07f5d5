import { Rng } from "../../src/data/random.js";

/** Claims about made-up towns in the official FEVER forms; the same seed gives the same rows. */

const MATERIALS = ["brick", "granite", "timber", "glass"];

export interface FeverKiltRow {
  readonly id: number;
  readonly input: string;
  readonly output: readonly object[];
  readonly prediction: string;
  readonly alternatives: readonly string[];
  readonly filtered_rephrases: readonly string[];
  readonly logit: number;
}

const flip = (label: string): string => (label === "SUPPORTS" ? "REFUTES" : "SUPPORTS");

/** De Cao et al.'s form: two claims a town, three paraphrases each, one of them the claim itself. */
export function feverKiltRows(count: number, seed: number, firstTown = 0): FeverKiltRow[] {
  const rng = Rng.fromSeed(seed);
  return Array.from({ length: count }, (_, i) => {
    const town = `Town ${firstTown + Math.floor(i / 2)}`;
    const material = MATERIALS[(i % 2) * 2 + rng.int(2)] ?? "";
    const label = rng.pick(["SUPPORTS", "REFUTES"]);
    const prediction = rng.chance(0.8) ? label : flip(label);
    return {
      id: 1000 * (firstTown + 1) + i,
      input: `${town} is built of ${material}.`,
      output: [
        { answer: label, provenance: [{ title: town, wikipedia_id: String(i) }] },
        { provenance: [{ title: "Building material" }] },
      ],
      prediction,
      alternatives: [flip(prediction)],
      filtered_rephrases: [
        `${town}'s buildings are of ${material}.`,
        `${town} is built of ${material}`,
        `They built ${town} of  ${material}.`,
      ],
      logit: rng.unit() * 8 - 4,
    };
  });
}

/** MALMEN's form. */
export function feverMalmenRows(count: number, seed: number, firstTown = 0): object[] {
  return feverKiltRows(count, seed, firstTown).map((row, i, rows) => ({
    prompt: row.input,
    equiv_prompt: row.filtered_rephrases,
    alt: row.alternatives[0],
    unrel_prompt: rows[(i + 7) % rows.length]?.input,
    unrel_ans: rows[(i + 7) % rows.length]?.prediction,
  }));
}
