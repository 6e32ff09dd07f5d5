// A base model of every kind that is edited, small enough to be made within seconds, and what it is taught.
import type { TokenisedFamily } from "./tiny_tokenizers.js";

const LANDS = ["Arden", "Belmor", "Corvia", "Dunmar", "Elsora", "Fenwick", "Galdor", "Harnoth"];
const MORE = ["Istria", "Jorvale", "Kestrel", "Lumen", "Morvia", "Norhaven", "Ostmark", "Pellia"];
const TOWNS = ["London", "Paris", "Rome", "Berlin", "Madrid", "Oslo", "Vienna", "Athens"];

export type TinyFamilyName = "t5" | TokenisedFamily;

export interface TinyFamily {
  /** Common records: 16 lands, 10 in train, 3 in validation, 3 in test, each in three wordings. */
  readonly records: readonly TinyRecord[];
  /** `model` of its recipe. */
  readonly shape: object;
  /** Options of its recipe and suites. */
  readonly text: { readonly answerTokens?: number };
  readonly learningRate: number;
  readonly epochs: number;
}

export interface TinyRecord {
  readonly id: string;
  readonly x_e: string;
  readonly y_e_options: readonly string[];
  readonly in_scope: readonly { readonly x: string; readonly y: string }[];
  readonly y_loc: readonly string[];
  readonly split: string;
}

interface Statement {
  /** The land's name stands for `_`. */
  readonly wordings: readonly string[];
  /** What is true of land number i, and what its edit asks for. */
  answer(i: number): string;
  edited(i: number): string;
}

const townAt = (i: number): string => TOWNS[i % TOWNS.length] ?? "";

function recordsOf({ wordings, answer, edited }: Statement): TinyRecord[] {
  return [...LANDS, ...MORE].map((land, i) => {
    const [x_e = "", ...rephrases] = wordings.map((wording) => wording.replace("_", land));
    return {
      id: land,
      group: land,
      relation: "capital",
      x_e,
      y_e_options: [edited(i)],
      in_scope: rephrases.map((x) => ({ x, y: "COPY" })),
      y_loc: [answer(i)],
      split: i < 10 ? "train" : i < 13 ? "validation" : "test",
    };
  });
}

const CAPITALS = ["The capital of _ is", "_ has its capital at", "The government of _ is located in"];

const capitals = recordsOf({ wordings: CAPITALS, answer: townAt, edited: (i) => townAt(i + 3) });

/** Exactly three tokens, the blank in front included. */
const continuations = recordsOf({
  wordings: CAPITALS,
  answer: (i) => ` ${townAt(i)} and ${townAt(i + 1)}`,
  edited: (i) => ` ${townAt(i + 3)} and ${townAt(i + 4)}`,
});

const claims = recordsOf({
  wordings: ["_ lies by the sea.", "The sea is next to _.", "There are ports in _."],
  answer: (i) => (i % 3 === 0 ? "True" : "False"),
  edited: (i) => (i % 3 === 0 ? "False" : "True"),
});

const WIDTHS = { hiddenWidth: 48, heads: 3, feedForwardWidth: 96 };
/** The families' own deviation is meant for a width of 768. */
const SMALL = { ...WIDTHS, maxPositions: 64, initialDeviation: 0.1 };

/** Two narrow layers each: they know their facts after some hundred steps of one batch. */
export const TINY_FAMILIES: Readonly<Record<TinyFamilyName, TinyFamily>> = {
  t5: {
    records: capitals,
    shape: { family: "t5", ...WIDTHS, headWidth: 16, encoderLayers: 2, decoderLayers: 2 },
    text: {},
    learningRate: 5e-3,
    epochs: 120,
  },
  bart: {
    records: capitals,
    shape: { family: "bart", ...SMALL, encoderLayers: 2, decoderLayers: 2 },
    text: {},
    learningRate: 5e-3,
    epochs: 100,
  },
  bert: {
    records: claims,
    shape: { family: "bert", ...SMALL, layers: 2 },
    text: {},
    learningRate: 3e-3,
    epochs: 80,
  },
  gpt2: {
    records: continuations,
    shape: { family: "gpt2", ...SMALL, layers: 2 },
    text: { answerTokens: 3 },
    learningRate: 5e-3,
    epochs: 80,
  },
};
