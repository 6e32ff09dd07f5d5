import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trainingSchema } from "../../src/config/training.js";
import { SeprogError } from "../../src/errors.js";
import type { EpisodeBatch } from "../../src/native/addon.js";
import type { LoopEvent } from "../../src/training/events.js";
import { type EpisodeSource, type TrainableEditor, train } from "../../src/training/train.js";

/** One weight and one momentum: a change of order, learning rate or lost optimiser state shows in every later bit. */
class CountingEditor implements TrainableEditor {
  weight = 1;
  momentum = 0;
  failAtStep: { step: number; error: SeprogError } | undefined;
  validationLosses: number[] | undefined;
  steps = 0;
  calibrations = 0;

  async calibrate(): Promise<{ figures: { selectLogit: number } }> {
    this.weight = 2;
    this.calibrations += 1;
    return { figures: { selectLogit: 8 } };
  }

  async trainStep(
    batch: EpisodeBatch,
    { learningRate, signal }: { learningRate: number; signal?: AbortSignal },
  ): Promise<{ figures: { loss: number } }> {
    await new Promise(setImmediate);
    signal?.throwIfAborted();
    this.steps += 1;
    if (this.failAtStep?.step === this.steps) throw this.failAtStep.error;
    this.momentum = 0.9 * this.momentum + (batch.edits.source.ids[0] ?? 0) / 7;
    this.weight -= learningRate * this.momentum * this.weight;
    return { figures: { loss: this.weight } };
  }

  async validate(
    _batch: EpisodeBatch,
    options?: { signal?: AbortSignal },
  ): Promise<{ figures: { loss: number } }> {
    options?.signal?.throwIfAborted();
    return { figures: { loss: this.validationLosses?.shift() ?? Math.abs(this.weight - 0.5) } };
  }

  async save(directory: string, { optimizer = false } = {}): Promise<void> {
    await writeFile(join(directory, "weight"), String(this.weight));
    if (optimizer) await writeFile(join(directory, "momentum"), String(this.momentum));
  }

  async restore(directory: string, { optimizer = false } = {}): Promise<void> {
    this.weight = Number(await readFile(join(directory, "weight"), "utf8"));
    if (optimizer) this.momentum = Number(await readFile(join(directory, "momentum"), "utf8"));
  }
}

function batchOf(value: number): EpisodeBatch {
  const rows = { ids: Int32Array.of(value), lengths: Int32Array.of(1) };
  const pairs = { source: rows, target: rows };
  return { episodes: 1, edits: pairs, editText: rows, inScope: pairs, outScope: pairs };
}

/** 1, 2, 3, … modulo 11. */
class CountingSource implements EpisodeSource {
  #drawn = 0;

  async next() {
    this.#drawn += 1;
    return { batch: batchOf(this.#drawn % 11), stateAfter: this.#drawn };
  }

  restore(state: unknown): void {
    this.#drawn = Number(state);
  }
}

const config = trainingSchema.parse({
  learningRate: 0.01,
  warmupSteps: 5,
  schedule: "linear",
  steps: 40,
  stepsPerEpoch: 2,
  validateEveryEpochs: 4,
  patienceEpochs: 1000,
  checkpointEveryEpochs: 3,
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "seprog-training-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const input = (editor: TrainableEditor, overrides: Partial<typeof config> = {}) => ({
  editor,
  episodes: new CountingSource(),
  validation: [batchOf(1)],
  config: { ...config, ...overrides },
});

/** Aborts as soon as `step` steps are done. */
function stopAt(step: number): { signal: AbortSignal; onEvent: (event: LoopEvent) => void } {
  const controller = new AbortController();
  const onEvent = (event: LoopEvent): void => {
    if (event.type === "progress" && event.step === step) controller.abort(new Error("stopped by the test"));
  };
  return { signal: controller.signal, onEvent };
}

describe("training", () => {
  it("calibrates a fresh editor, once, and not a resumed one", async () => {
    const fresh = new CountingEditor();
    const stop = stopAt(10);
    const sample = batchOf(3);
    await expect(train({ ...input(fresh), sample }, { directory, identity: "a", ...stop })).rejects.toThrow(
      "stopped",
    );
    expect(fresh.calibrations).toBe(1);
    const resumed = new CountingEditor();
    await train({ ...input(resumed), sample }, { directory, identity: "a" });
    expect(resumed.calibrations).toBe(0);
    const without = new CountingEditor();
    await train(input(without), { directory: join(directory, "other"), identity: "b" });
    expect(without.calibrations).toBe(0);
    expect(without.weight).not.toBe(resumed.weight);
  });

  it("stopped by its budget keeps what it has and goes on with a larger one", async () => {
    class SlowEditor extends CountingEditor {
      override async trainStep(...call: Parameters<CountingEditor["trainStep"]>) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        return super.trainStep(...call);
      }
    }
    const whole = new CountingEditor();
    await train(input(whole), { directory: join(directory, "whole"), identity: "a" });
    const options = { directory: join(directory, "parts"), identity: "a" };
    const stopped = await train(input(new SlowEditor()), { ...options, budgetMs: 20 });
    expect(stopped.reason).toBe("over-budget");
    expect(stopped.steps).toBeLessThan(config.steps);
    // The time of the first part counts: the same budget has nothing left.
    const idle = new CountingEditor();
    const again = await train(input(idle), { ...options, budgetMs: 20 });
    expect([again.reason, again.steps, idle.steps]).toEqual(["over-budget", stopped.steps, 0]);
    const resumed = new CountingEditor();
    const done = await train(input(resumed), { ...options, budgetMs: 1e9 });
    expect([done.reason, resumed.weight]).toEqual(["completed", whole.weight]);
    expect(resumed.steps).toBe(config.steps - stopped.steps);
  });

  it.each([1, 7, 8, 13, 24, 39, 40])("stopped after %i steps and resumed equals one run", async (steps) => {
    const whole = new CountingEditor();
    const wholeRecord = await train(input(whole), { directory: join(directory, "whole"), identity: "a" });

    const options = { directory: join(directory, "parts"), identity: "a" };
    const first = new CountingEditor();
    await expect(train(input(first), { ...options, ...stopAt(steps) })).rejects.toThrow(
      "stopped by the test",
    );
    const second = new CountingEditor();
    const record = await train(input(second), options);

    expect(first.steps + second.steps).toBe(40);
    expect(second.weight).toBe(whole.weight);
    expect(record.history).toEqual(wholeRecord.history);
    expect(record.bestStep).toBe(wholeRecord.bestStep);
  });

  it("leaves one checkpoint, the best weights and nothing half-written", async () => {
    await expect(
      train(input(new CountingEditor()), { directory, identity: "a", ...stopAt(13) }),
    ).rejects.toThrow("stopped by the test");
    expect((await readdir(directory)).sort()).toEqual(["best-00000008", "step-00000013"]);
  });

  it("ends with the weights of the lowest validation loss", async () => {
    const editor = new CountingEditor();
    editor.validationLosses = [3, 1, 2, 2, 2];
    const record = await train(input(editor), { directory, identity: "a" });
    expect([record.bestStep, record.bestLoss, record.reason]).toEqual([16, 1, "completed"]);
    expect(editor.weight).toBe(Number(await readFile(join(directory, "best-00000016", "weight"), "utf8")));
  });

  it("stops early when patience is over", async () => {
    const editor = new CountingEditor();
    editor.validationLosses = [3, 1, 2, 2, 2];
    const record = await train(input(editor, { patienceEpochs: 6 }), { directory, identity: "a" });
    expect([record.steps, record.reason, record.bestStep]).toEqual([32, "early-stopped", 16]);
  });

  it("does nothing more when it is finished, but restores the best", async () => {
    const first = new CountingEditor();
    await train(input(first), { directory, identity: "a" });
    const second = new CountingEditor();
    const record = await train(input(second), { directory, identity: "a" });
    expect([second.steps, second.weight, record.steps]).toEqual([0, first.weight, 40]);
  });

  it("keeps the last good checkpoint when the loss is no number, and says what to do", async () => {
    const editor = new CountingEditor();
    editor.failAtStep = { step: 15, error: new SeprogError("NON_FINITE", "expected a finite loss") };
    const failure = train(input(editor), { directory, identity: "a" });
    await expect(failure).rejects.toMatchObject({ code: "NON_FINITE" });
    await expect(failure).rejects.toThrow(/stopped at step 15.*training\.learningRate/);
    expect((await readdir(directory)).sort()).toEqual(["best-00000008", "step-00000012"]);
  });

  it("refuses another run's checkpoint, and starts anew when told so", async () => {
    await expect(
      train(input(new CountingEditor()), { directory, identity: "a", ...stopAt(6) }),
    ).rejects.toThrow();
    await expect(train(input(new CountingEditor()), { directory, identity: "b" })).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    const editor = new CountingEditor();
    await train(input(editor), { directory, identity: "b", resume: false });
    expect(editor.steps).toBe(40);
  });

  it("says so when the state of a checkpoint is damaged", async () => {
    await expect(
      train(input(new CountingEditor()), { directory, identity: "a", ...stopAt(6) }),
    ).rejects.toThrow();
    await writeFile(join(directory, "step-00000006", "state.json"), "{");
    await expect(train(input(new CountingEditor()), { directory, identity: "a" })).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
  });

  it("loses no checkpoint when writing the next one fails", async () => {
    const editor = new CountingEditor();
    const save = editor.save.bind(editor);
    editor.save = async (folder, options) => {
      await save(folder, options);
      if (editor.steps >= 10) throw new Error("no space left on device");
    };
    await expect(train(input(editor), { directory, identity: "a" })).rejects.toThrow("no space left");
    expect((await readdir(directory)).sort()).toEqual(["best-00000008", "step-00000008"]);
  });
});
