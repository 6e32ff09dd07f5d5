import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type {
  CellResult,
  EditRecordLine,
  Figure,
  Summary,
  SummaryCell,
} from "../../src/evaluation/records.js";
import { RECEIPT_BASIS } from "./receipts.js";

/** A figure whose interval is `spread` wide on both sides. */
export function figure(value: number, spread = 0.03, n = 500): Figure {
  return { value, low: Math.max(0, value - spread), high: value + spread, n };
}

export function summaryCell(dataset: string, K: number, change: Partial<SummaryCell> = {}): SummaryCell {
  const decay = Math.log2(K) * 0.05;
  const weak = dataset === "zsre" ? 0.3 : 0;
  const success = 0.95 - decay - weak;
  return {
    method: "seprog",
    variant: "seprog",
    origin: null,
    sweep: null,
    schedule: "simultaneous",
    dataset,
    model: "t5-mini",
    K,
    seed: 0,
    nEdits: 500,
    ES: figure(success),
    ESself: figure(Math.min(1, success + 0.04)),
    ESall: figure(success + 0.02),
    ESchanged: null,
    ESgained: figure(success),
    ESnoisy: dataset === "zsre" ? null : figure(success - 0.2),
    DD: figure(0.01 + decay * 0.1, 0.01),
    DDgold: figure(0.06 + decay * 0.1, 0.01),
    DDhard: dataset === "zsre" ? null : figure(0.05 + decay * 0.2, 0.02),
    base: { accuracy: figure(0.97, 0.01), ES: figure(0.02, 0.01) },
    gate: { accuracy: figure(0.96), precision: figure(0.97), recall: figure(0.95) },
    teacherForced: { ES: figure(success + 0.01), DD: figure(0.01, 0.01) },
    leakGap: figure(0.01, 0.01),
    train: { stepWallMs: figure(12 + 1.4 * K, 2, 10), peakBytes: figure((60 + 2.5 * K) * 2 ** 20, 0, 10) },
    inference: {
      wallMs: figure(6 + 0.9 * K, 1, 10),
      peakBytes: figure((24 + 0.4 * K) * 2 ** 20, 0, 10),
      promptsPerSecond: figure(900, 40, 10),
    },
    configHash: `${change.method ?? "seprog"}-${dataset}-${K}`,
    ...change,
  };
}

export function editRecord(index: number, change: Partial<EditRecordLine> = {}): EditRecordLine {
  const right = index % 3 !== 0;
  return {
    episode: 0,
    edit: index,
    id: `fact-${index}`,
    question: `The mother tongue of Person ${index} is`,
    answer: "French",
    self: probe(`The mother tongue of Person ${index} is`, "French", true),
    inScope: [probe(`Person ${index}, a native speaker of`, right ? "French" : "Dutch", right)],
    noisy: [
      probe(`It rained all day. Person ${index} spoke the language`, right ? "French" : "Dutch", right),
    ],
    outScope: [
      {
        input: "The capital of Peru is",
        base: "Lima",
        edited: "Lima",
        gold: ["Lima"],
        same: true,
        sameStrict: true,
        goldMatch: true,
        baseGoldMatch: true,
        teacherForcedSame: true,
        kl: 0,
        tokens: 2,
      },
    ],
    hard: [],
    ...change,
  };
}

function probe(input: string, edited: string, match: boolean) {
  return {
    input,
    base: "Dutch",
    edited,
    expected: ["French"],
    match,
    baseMatch: false,
    matchStrict: match,
    teacherForced: match,
    negLogLik: 0.4,
    tokens: 2,
  };
}

export function cellResult(cell: SummaryCell): CellResult {
  return {
    schemaVersion: 2,
    cell,
    detail: {
      ESstrict: cell.ES,
      DDstrict: cell.DD,
      errBase: figure(0.05, 0.01),
      gateAuc: figure(0.99, 0.01),
      selectionAccuracy: figure(0.9),
      gateOnHard: null,
      gateOnRandom: figure(0.01, 0.01),
      klOut: figure(0.02, 0.01),
      nllIn: figure(0.4),
    },
    perEpisode: {
      ES: [cell.ES.value, cell.ES.value],
      DD: [cell.DD?.value ?? null, cell.DD?.value ?? null],
      editing: [],
    },
    editing: {},
    retention: [],
    tuning: null,
    agreement: null,
    work: null,
    timing: cell.inference && {
      warmup: 2,
      repetitions: 10,
      inferenceWallMs: [10],
      inferencePeakBytes: [1000],
      editWallMs: [2],
      trainStepWallMs: [20],
      trainPeakBytes: [2000],
      processPeakBytes: 300 * 2 ** 20,
    },
    provenance: {
      episodes: 8,
      episodesChecksum: "00",
      modelChecksum: "11",
      modelRecord: { "taught wordings": 0.99 },
      training: "trained",
      editorFingerprint: "22",
      device: "cpu",
      threads: 2,
      precision: "fp32",
      startedAt: "2026-01-01T00:00:00.000Z",
      wallMs: 1000,
    },
    notes: [],
    receipt: { ...RECEIPT_BASIS, outputHash: "b".repeat(64) },
  };
}

export const ENVIRONMENT = {
  package: { version: "0.1.0", commit: null },
  node: "v20.19.0",
  cpu: { model: "Example CPU", usableCores: 2 },
  loadAverage: [0.1, 0.2, 0.3],
};

/** Writes a finished run folder, and returns its summary. */
export function writeRun(
  folder: string,
  cells: readonly SummaryCell[],
  edits: readonly EditRecordLine[] = [0, 1, 2, 3, 4, 5, 6, 7].map((index) => editRecord(index)),
  change: Partial<Summary> = {},
): Summary {
  const summary: Summary = {
    schemaVersion: 2,
    suite: "mini",
    notes: [],
    missing: [],
    overBudget: [],
    models: { "t5-mini": { "taught wordings": 0.99 } },
    environment: ENVIRONMENT,
    cells: [...cells],
    ...change,
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "summary.json"), JSON.stringify(summary));
  for (const cell of cells) {
    const cellFolder = join(folder, "cells", `${cell.method}-${cell.dataset}-K${cell.K}-s${cell.seed}`);
    mkdirSync(cellFolder, { recursive: true });
    writeFileSync(join(cellFolder, "result.json"), JSON.stringify(cellResult(cell)));
    writeFileSync(join(cellFolder, "edits.jsonl"), edits.map((edit) => `${JSON.stringify(edit)}\n`).join(""));
  }
  return summary;
}
