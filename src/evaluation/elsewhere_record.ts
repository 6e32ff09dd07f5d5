/** What the evaluation of a model or of answers made elsewhere writes: `evaluation.json`. */
import { z } from "zod";
import { figureSchema } from "./records.js";

const cellSchema = z.strictObject({
  dataset: z.string(),
  K: z.int().positive(),
  schedule: z.string(),
  episodes: z.int().positive(),
  nEdits: z.int().positive(),
  /** By the names of docs/metrics.md; null: nothing to measure it on. Absent: it needs more than is known. */
  figures: z.record(z.string(), figureSchema.nullable()),
});
export type ElsewhereCell = z.infer<typeof cellSchema>;
export type ElsewhereFigures = Pick<ElsewhereCell, "nEdits" | "figures">;

export const elsewhereRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Model folders, or answers of a system. */
  of: z.enum(["edited", "predictions"]),
  name: z.string(),
  /** The base model whose answers are the reference; null where the system's own are, or none. */
  base: z.strictObject({ name: z.string(), checksum: z.string() }).nullable(),
  /** SHA-256 of the questions' lines. */
  questions: z.string(),
  /** Of the answers' file, or of each edited model by its folder. */
  answers: z.union([z.string(), z.record(z.string(), z.string())]),
  notes: z.array(z.string()),
  cells: z.array(cellSchema).min(1),
  startedAt: z.string(),
  wallMs: z.number(),
});
export type ElsewhereRecord = z.infer<typeof elsewhereRecordSchema>;
