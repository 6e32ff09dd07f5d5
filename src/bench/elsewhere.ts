/** What is made of answers that no editor of this package gave: cells as `bench` writes them, without costs. */
import { type EvaluationConfig, scheduleName } from "../config/evaluation.js";
import { configHash } from "../config/hash.js";
import type { TextConfig } from "../config/suite.js";
import { cellFigures } from "../evaluation/cell_figures.js";
import { type QuestionCell, type QuestionEpisode, questionsChecksum } from "../evaluation/question_file.js";
import {
  type CellResult,
  type EditRecordLine,
  type Origin,
  SUMMARY_SCHEMA_VERSION,
  type Work,
} from "../evaluation/records.js";
import { type ModelFigures, readModelFigures } from "../training/model_figures.js";
import type { Environment, Machine } from "./environment.js";
import { modelLabel } from "./grid.js";
import type { AnsweringChoice, EngineChoice } from "./job.js";

export interface ElsewhereRun {
  /** What tables call the model or system. */
  readonly name: string;
  readonly questions: readonly QuestionEpisode[];
  readonly engine: EngineChoice;
  readonly answering: AnsweringChoice;
  /** How texts are cut for the model, and how it is measured, for a data set by its name in the questions. */
  readonly settingsOf: (dataset: string) => {
    readonly text: TextConfig;
    readonly evaluation: EvaluationConfig;
  };
}

/** A result with the lines that it follows from. */
export interface ElsewhereCell {
  readonly result: CellResult;
  readonly lines: readonly EditRecordLine[];
}

export interface Elsewhere {
  readonly cells: readonly ElsewhereCell[];
  /** Without an engine where no model was asked. */
  readonly environment: Environment | Machine;
}

/** The unedited model that was asked, on which device. */
export interface AskedBase {
  readonly model: string;
  /** Of its weights, as the engine read them. */
  readonly checksum: string;
  readonly record: ModelFigures | null;
  readonly device: string;
  readonly threads: number;
}

/** @param folder of the model */
export async function askedBase(
  folder: string,
  checksum: string,
  { device, threads }: Pick<AskedBase, "device" | "threads">,
): Promise<AskedBase> {
  return { model: modelLabel(folder), checksum, record: await readModelFigures(folder), device, threads };
}

export interface AnsweredCell {
  readonly name: string;
  readonly cell: QuestionCell;
  readonly origin: Origin;
  /** Null where what was said before any edit came with the answers, or is not known. */
  readonly base: AskedBase | null;
  readonly lines: readonly EditRecordLine[];
  readonly evaluation: EvaluationConfig;
  /** Null where no edited model was asked. */
  readonly work: Work | null;
  readonly notes: readonly string[];
  readonly startedAt: Date;
}

/** The cell's result: the figures that its lines tell, and null for all that was not measured. */
export function elsewhereCell({ cell, base, origin, lines, ...answered }: AnsweredCell): ElsewhereCell {
  const { name, evaluation, work, notes, startedAt } = answered;
  const questions = questionsChecksum(cell.episodes);
  const bootstrap = { resamples: evaluation.bootstrap.samples, level: evaluation.bootstrap.level };
  const checksums = origin.sources.map(({ checksum }) => checksum);
  const { perEpisode, ...figures } = cellFigures(
    {
      method: name,
      variant: origin.kind,
      origin,
      sweep: null,
      schedule: scheduleName(cell.sequential),
      dataset: cell.dataset,
      model: base?.model ?? null,
      K: cell.K,
      seed: null,
      configHash: configHash([name, origin.kind, checksums, base?.checksum ?? null, questions, bootstrap]),
    },
    lines,
    bootstrap,
  );
  return {
    lines,
    result: {
      schemaVersion: SUMMARY_SCHEMA_VERSION,
      ...figures,
      cell: { ...figures.cell, train: null, inference: null },
      perEpisode: { ...perEpisode, editing: [] },
      editing: {},
      tuning: null,
      agreement: null,
      work,
      timing: null,
      provenance: {
        episodes: cell.episodes.length,
        episodesChecksum: questions,
        modelChecksum: base?.checksum ?? null,
        modelRecord: base?.record ?? null,
        training: "elsewhere",
        editorFingerprint: null,
        device: base?.device ?? null,
        threads: base?.threads ?? null,
        precision: base && "fp32",
        startedAt: startedAt.toISOString(),
        wallMs: Date.now() - startedAt.getTime(),
      },
      notes: [...notes],
      receipt: null,
    },
  };
}
