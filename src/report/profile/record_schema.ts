import { z } from "zod";
import { receiptSchema } from "../../evaluation/receipt.js";
import { figureSchema } from "../../evaluation/records.js";
import type { ProfileRecord } from "../../profile/record.js";

export const profileFailureSchema = z.object({
  schemaVersion: z.literal(1),
  kind: z.literal("profile-failure"),
  method: z.string(),
  dataset: z.string().nullable(),
  model: z.string(),
  K: z.int().positive(),
  code: z.string(),
  message: z.string(),
});
export type ReportedFailure = z.infer<typeof profileFailureSchema>;

const samples = z.array(z.number());

const flops = z.object({ forward: z.number(), backward: z.number(), secondOrder: z.number() });

const phase = z.object({
  name: z.string(),
  group: z.enum(["host", "load", "edit", "forward", "backward", "update", "answer", "rest"]),
  wallMs: samples,
  deviceMs: samples.nullable(),
  baselineBytes: z.number().nullable(),
  peakBytes: z.number().nullable(),
  peakReservedBytes: z.number().nullable(),
  flops: flops.nullable(),
});

const timeline = z.object({
  spanPhase: samples,
  spanBeginMs: samples,
  spanEndMs: samples,
  sampleMs: samples,
  sampleBytes: samples,
});

const operation = z.object({
  rounds: z.int().positive().default(1),
  wallMs: samples.min(1),
  deviceMs: samples.nullable(),
  baselineBytes: z.number(),
  peakBytes: samples.min(1),
  peakReservedBytes: samples,
  processPeakBytes: samples.nullable(),
  flops: flops.nullable(),
  memoryMap: z.record(z.string(), z.number()).nullable(),
  energyJ: samples.nullable(),
  phases: z.array(phase),
  timeline: timeline.nullable(),
});

const pairLengths = z.object({ source: samples, target: samples });
const viewLengths = z.object({ classifier: samples.optional(), counterfactual: samples.optional() });

const requestLengths = z.object({
  edits: pairLengths,
  editText: samples,
  editPrefix: samples.optional(),
  outScope: pairLengths.optional(),
});

const batchLengths = requestLengths.extend({
  inScope: pairLengths,
  outScope: pairLengths,
  inScopeViews: viewLengths.optional(),
  outScopeViews: viewLengths.optional(),
});

const questionLengths = z.object({ source: samples, views: viewLengths.optional(), answer: z.number() });

/** `profile.json` as a report reads it; what a later version adds is left out. */
export const profileRecordSchema: z.ZodType<ProfileRecord> = z.object({
  schemaVersion: z.literal(1),
  kind: z.literal("profile"),
  method: z.string(),
  variant: z.string(),
  dataset: z.string().nullable(),
  model: z.string(),
  K: z.int().positive(),
  seed: z.int(),
  device: z.string(),
  dtype: z.string(),
  threads: z.int().positive(),
  tokens: z.object({ edit: z.number(), source: z.number(), target: z.number() }),
  parameters: z.object({ model: z.number(), editor: z.number().nullable() }),
  editor: z.enum(["trained", "fresh", "untrained"]),
  warmUps: z.int().nonnegative(),
  repetitions: z.int().positive(),
  energy: z.union([z.object({ source: z.string() }), z.object({ notAvailable: z.string() })]),
  trainStep: z.union([z.object({ notApplicable: z.string() }), operation]),
  inScope: operation,
  outScope: operation,
  oneOff: z.array(
    z.object({
      name: z.string(),
      wallMs: z.number(),
      peakBytes: z.number().nullable(),
      source: z.enum(["measured", "training record", "steps × step"]),
      steps: z.number().exactOptional(),
    }),
  ),
  successes: z.number().nullable(),
  takenInScope: z.object({ inScope: z.number().nullable(), outScope: z.number().nullable() }),
  quality: z.object({ ES: figureSchema, DD: figureSchema }).nullable(),
  rows: z.object({
    trainStep: batchLengths.nullable(),
    requests: requestLengths,
    inScope: questionLengths,
    outScope: questionLengths,
  }),
  receipt: receiptSchema,
});
