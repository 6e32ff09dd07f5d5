// An edit that is aborted at whatever moment: the base answers with the same bits, the editor edits on as if nothing were.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { EditRequests, EpisodeBatch, Spec } from "../../src/native/addon.js";
import { type EditedModel, type Engine, type Model, openEngine } from "../../src/native/engine.js";
import { TINY_BASES, TINY_T5, tinyEpisodes, tinyPairs, tinyRows } from "../support/tiny_models.js";

const EDITS = 24;
const LENGTH = 24;
const QUESTIONS = tinyPairs(8, 6, 9);

let engine: Engine;
let base: Model;
let folder: string;

/** Specs whose edits take a while. */
const SPECS: Readonly<Record<string, (classifier: string) => Spec>> = {
  ft: () => ({ kind: "ft", editLearningRate: 1e-3, maxSteps: 12 }),
  enn: () => ({ kind: "enn", innerSteps: 8, microBatch: 2 }),
  slag: () => ({ kind: "slag", innerSteps: 3, lstmWidth: 8, conditionWidth: 12, conditionerWidth: 10 }),
  mend: () => ({ kind: "mend", rank: 12, microBatch: 1 }),
  serac: (path) => ({ kind: "serac", classifier: { source: "directory", path } }),
};

beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
  base = await engine.createModel(TINY_T5, { seed: 1 });
  folder = await mkdtemp(join(tmpdir(), "seprog-abort-"));
  await mkdir(join(folder, "classifier"));
  await (await engine.createModel(TINY_BASES.distilbert as Spec, { seed: 2 })).save(
    join(folder, "classifier"),
  );
});
afterAll(async () => {
  await engine.close();
  await rm(folder, { recursive: true });
});

function requests(): EditRequests {
  const edits = tinyPairs(EDITS, LENGTH);
  const labels = Array.from({ length: EDITS }, (_, edit) => `edit ${edit}`);
  return { edits, editText: edits.source, editPrefix: edits.source, labels };
}

/** One step's batch: what MEND knows of its factors comes from training. */
function batch(): EpisodeBatch {
  const episodes = tinyEpisodes(4);
  return { ...episodes, editPrefix: tinyRows(4, 6) };
}

async function answersOf(model: Model | EditedModel) {
  const { tokens } = await model.generate(QUESTIONS.source, { maxNewTokens: 6, stopAtEnd: false });
  return { tokens, ...(await model.score(QUESTIONS)) };
}

test.each(Object.keys(SPECS))("an aborted edit changes neither base nor editor: %s", async (kind) => {
  const spec = SPECS[kind]?.(join(folder, "classifier")) ?? {};
  await using editor = await engine.createEditor(spec, base);
  if (kind !== "ft") await editor.trainStep(batch(), { learningRate: 1e-3 });
  const unedited = await answersOf(base);
  const fingerprint = await editor.fingerprint();
  const startMs = performance.now();
  const whole = await editor.edit(requests(), base);
  const wholeMs = performance.now() - startMs;
  const edited = await answersOf(whole.model);

  let aborted = 0;
  for (let eighth = 0; eighth < 8; eighth++) {
    const reason = new Error(`stopped after ${eighth} eighths`);
    const abort = new AbortController();
    const outcome = editor.edit(requests(), base, { signal: abort.signal }).then(
      () => "done",
      (error: unknown) => error,
    );
    // The first at once: a timer of no time at all may come after a short edit.
    if (eighth > 0) await delay((wholeMs * eighth) / 8);
    abort.abort(reason);
    const ended = await outcome;
    if (ended !== "done") {
      aborted++;
      expect(ended).toBe(reason);
    }
    expect(await answersOf(base)).toEqual(unedited);
  }
  expect(aborted).toBeGreaterThan(0);
  expect(await editor.fingerprint()).toBe(fingerprint);
  const after = await editor.edit(requests(), base);
  expect(await answersOf(after.model)).toEqual(edited);
  expect(edited).not.toEqual(unedited);
});
