// Averages over steps and early stopping as the published code computes them; the losses themselves are checked by
// native/core/tests/golden_metrics.cpp.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { inScopeNll } from "../../src/metrics/edit_success.js";
import type { EditOutcome, InScopeOutcome } from "../../src/metrics/outcomes.js";
import { episodeMean } from "../../src/metrics/ratio.js";
import { EarlyStopping } from "../../src/training/early_stopping.js";
import { goldenCases } from "../support/golden.js";
import { readFloats, readIdRows } from "../support/safetensors.js";

const caseSchema = z.looseObject({
  early_stop: z.object({
    patience: z.number(),
    rows: z.array(z.tuple([z.number(), z.number(), z.boolean(), z.boolean()])),
  }),
  atol: z.record(z.string(), z.number()),
});

const asked = (negLogLik: number, tokens: number): InScopeOutcome => ({
  match: true,
  baseMatch: false,
  matchStrict: true,
  teacherForced: true,
  negLogLik,
  tokens,
});

/** A step of the published code is an edit in an episode of its own. */
const step = (episode: number, self: InScopeOutcome): EditOutcome => ({
  episode,
  edit: 0,
  self,
  inScope: [],
  noisy: [],
  outScope: [],
  hard: [],
});

describe.each(goldenCases("metrics").map((one) => [one.name, one] as const))(
  "%s",
  (_, { folder, content }) => {
    const { early_stop, atol } = caseSchema.parse(content);

    test("losses weigh by tokens, other figures by steps", async () => {
      const bytes = await readFile(join(folder, "case.safetensors"));
      const only = (name: string): number => readFloats(bytes, name)[0] ?? Number.NaN;
      const [tokens = []] = readIdRows(bytes, "avg.in.n_tokens");
      const edits = readFloats(bytes, "avg.in.nll").map((nll, i) =>
        step(i, asked(nll * (tokens[i] ?? 0), tokens[i] ?? 0)),
      );
      const nll = inScopeNll(edits)?.value ?? Number.NaN;
      expect(Math.abs(nll - only("avg.nll"))).toBeLessThanOrEqual(atol["avg.nll"] ?? 0);
      expect(Math.abs(Math.exp(nll) - only("avg.perplexity"))).toBeLessThanOrEqual(
        atol["avg.perplexity"] ?? 0,
      );
      const accuracies = readFloats(bytes, "avg.in.acc");
      const mean =
        episodeMean(edits, ({ episode }) => [accuracies[episode] ?? Number.NaN])?.value ?? Number.NaN;
      expect(Math.abs(mean - only("avg.acc_unweighted"))).toBeLessThanOrEqual(
        atol["avg.acc_unweighted"] ?? 0,
      );
    });

    test("training stops when the best value is that many steps old", () => {
      const stopping = new EarlyStopping(early_stop.patience);
      for (const [iteration, value, isBest, stops] of early_stop.rows) {
        expect(
          [stopping.observe(iteration, value), stopping.stepsLeft(iteration) === 0],
          String(iteration),
        ).toEqual([isBest, stops]);
      }
    });
  },
);
