import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SequentialConfig, scheduleName } from "../../src/config/evaluation.js";
import { parseScheduleName } from "../../src/config/schedule_name.js";
import { evaluationEpisodes } from "../../src/data/evaluation_episodes.js";
import type { EditRecord } from "../../src/data/types.js";
import { answerLines } from "../../src/evaluation/answer_lines.js";
import { type Predictions, predictionLines, readPredictions } from "../../src/evaluation/predictions.js";
import {
  nameQuestions,
  type QuestionEpisode,
  questionCells,
  questionLines,
  questionsChecksum,
  readQuestions,
  toEpisode,
} from "../../src/evaluation/question_file.js";
import { episodeQuestions } from "../../src/evaluation/questions.js";
import { editRecordSchema } from "../../src/evaluation/records.js";
import { computeMetrics } from "../../src/metrics/registry.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "seprog-questions-"));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function save(rows: Iterable<unknown>): Promise<string> {
  const path = join(folder, `lines-${files++}.jsonl`);
  await writeFile(path, [...rows].map((row) => JSON.stringify(row)).join("\n"));
  return path;
}

const record = (i: number): EditRecord => ({
  id: `r${i}`,
  group: `r${i}`,
  x_e: `Where is house ${i}?`,
  y_e_options: [`New ${i}`],
  in_scope: [{ x: `House ${i} stands where?`, y: "COPY" }],
  in_scope_noisy: [{ x: `It rains. Where is house ${i}?`, y: "COPY" }],
  entailed: [],
  hard_out: [{ x: `Where is barn ${i}?`, y_gold: [`Barnyard ${i}`] }],
  x_loc: `Where is house ${i}?`,
  y_loc: [`Old ${i}`],
});

const drawn = (K: number, sequential?: SequentialConfig): QuestionEpisode[] =>
  nameQuestions(
    "houses",
    evaluationEpisodes(
      Array.from({ length: 20 }, (_, i) => record(i)),
      K,
      { maxEdits: 8, minEpisodes: 2 },
    ),
    sequential,
  );

const GAP: SequentialConfig = { schedule: "gap", gap: 1, editsPerStep: 1 };

describe("questions as a file", () => {
  test.each([
    ["at once", undefined],
    ["immediate", parseScheduleName("immediate", "schedule")],
    ["final by 2", parseScheduleName("final by 2", "schedule")],
    ["gap=1", GAP],
  ])("%s: what was written is read, and asks what an evaluation asks", async (_, sequential) => {
    const episodes = drawn(4, sequential);
    const read = await readQuestions(await save(questionLines(episodes)));
    const plain = (all: readonly QuestionEpisode[]) =>
      all.map((one) => ({ ...one, questions: one.questions.map(({ place: _place, ...rest }) => rest) }));
    expect(plain(read)).toEqual(plain(episodes));
    expect(questionsChecksum(read)).toBe(questionsChecksum(episodes));
    for (const episode of read)
      expect(episodeQuestions(toEpisode(episode))).toEqual(
        episode.questions.map(({ id: _id, after: _after, place: _place, ...question }) => question),
      );
  });

  test("the order of lines is one in which they can be asked", () => {
    const lines = [...questionLines(drawn(4, GAP))].filter((line) => "after" in line);
    const ofFirst = lines.filter(({ episode }) => episode === "houses-K4-0");
    expect(ofFirst.map(({ after }) => after)).toEqual(ofFirst.map(({ after }) => after).toSorted());
    const own = ofFirst.filter(({ kind }) => kind === "self").map(({ edit, after }) => [edit, after]);
    expect(own).toEqual([
      [0, 2],
      [1, 3],
      [2, 4],
      [3, 4],
    ]);
    expect(ofFirst.filter(({ kind }) => kind === "outScope").every(({ after }) => after === 4)).toBe(true);
  });

  test("episodes of one data set, K and schedule are a cell", () => {
    const cells = questionCells([...drawn(2), ...drawn(4), ...drawn(4, GAP)]);
    expect(cells.map(({ K, sequential }) => [K, scheduleName(sequential)])).toEqual([
      [2, "simultaneous"],
      [4, "simultaneous"],
      [4, "gap=1"],
    ]);
  });

  test("everything that is wrong is named at once, with its line", async () => {
    const [head, ...questions] = [...questionLines(drawn(2).slice(0, 1))];
    const first = questions[0];
    const path = await save([
      { ...head, schedule: "sometimes", K: 3 },
      ...questions.slice(1),
      { ...questions[1] },
      { ...first, id: "x", episode: "houses-K9-9" },
      { ...first, id: "y", edit: 2 },
      { ...first, id: "z", kind: "soft" },
      "text",
    ]);
    const last = questions.length + 1;
    const error = await readQuestions(path).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "DATA_INVALID" });
    const said = String(error);
    for (const [line, what] of [
      [1, "expected 3, as `K` says, but received 2"],
      [1, "expected simultaneous, immediate, final or gap"],
      [1, "kind self for every edit"],
      [last, "is also at"],
      [last + 1, 'expected one of a line above but received "houses-K9-9"'],
      [last + 2, "expected `edit` below"],
      [last + 3, "`kind`"],
      [last + 4, "expected object"],
    ] as const)
      expect(said).toMatch(new RegExp(`${path}:${line}: .*${what.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`));
  });
});

describe("names of schedules", () => {
  test.each(["immediate", "final", "gap=4", "gap=2 by 8", "final by 2"])("%s", (name) => {
    expect(scheduleName(parseScheduleName(name, "--schedule"))).toBe(name);
  });
  test("simultaneous is none", () => expect(parseScheduleName("simultaneous", "--schedule")).toBeUndefined());
  test.each(["gap", "gap=0", "later", "gap=1.5", ""])("%s is refused", (name) => {
    expect(() => parseScheduleName(name, "--schedule")).toThrow(/--schedule/);
  });
});

describe("answers of another system", () => {
  const episodes = drawn(2).slice(0, 2);
  const questions = episodes.flatMap((episode) => episode.questions);
  const [cell] = questionCells(episodes);
  const scored = (predictions: Predictions) => {
    const records = predictionLines(cell ?? fail(), predictions);
    for (const line of records) expect(editRecordSchema.parse(line)).toEqual(line);
    const place = { method: "sys", dataset: "houses", K: 2, seed: null, schedule: "simultaneous" };
    return {
      nEdits: records.length,
      figures: computeMetrics(records, { resamples: 10, level: 0.95 }),
      lines: records.flatMap((line) => answerLines(line, place)),
    };
  };

  test("missing, doubled and unknown ids are one error with their lines", async () => {
    const ids = questions.map(({ id }) => id);
    const path = await save([
      { id: ids[0], answer: "a", base: "b" },
      { id: ids[0], answer: "a" },
      { id: "nobody", answer: "a" },
      { id: ids[1], answer: 3 },
      { id: ids[2], answer: "a", latency: 3 },
      ...ids.slice(4).map((id) => ({ id, answer: "a" })),
    ]);
    const error = await readPredictions(path, episodes).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: "DATA_INVALID" });
    const said = String(error);
    expect(said).toContain(`${path}:2: \`id\`: expected one answer to "${ids[0]}" but another is at line 1`);
    expect(said).toContain(`${path}:3: \`id\`: expected that of a question but received "nobody"`);
    expect(said).toContain(`${path}:4: \`answer\``);
    expect(said).toContain(`${path}:5: `);
    expect(said).toContain(`expected an answer to "${ids[3]}"`);
    expect(said).toContain(`${path}:6: \`base\`: expected on every line or on none`);
  });

  test("a system that edits perfectly", async () => {
    const path = await save(
      questions.map(({ id, group, accepted }) => ({
        id,
        answer: group === "outScope" || group === "hard" ? "as ever" : ` ${accepted[0].toUpperCase()} `,
        base: "as ever",
      })),
    );
    const { figures, nEdits, lines } = scored(await readPredictions(path, episodes));
    expect(nEdits).toBe(4);
    expect(figures).toMatchObject({
      ES: { value: 1 },
      ESstrict: { value: 0 },
      ESself: { value: 1 },
      ESnoisy: { value: 1 },
      ESbase: { value: 0 },
      DD: { value: 0 },
      DDgold: { value: 1 },
      // What takes a model's tokens is not known, not 0.
      ESteacherForced: null,
      leakGap: null,
      nllIn: null,
      DDteacherForced: null,
      klOut: null,
    });
    expect(lines).toHaveLength(questions.length);
    expect(lines.every(({ right }) => right)).toBe(true);
  });

  test("shares by hand: one of four rephrases, one of the random questions", async () => {
    const rephrases = questions.filter(({ group }) => group === "inScope");
    const random = questions.filter(({ group }) => group === "outScope");
    const path = await save(
      questions.map(({ id, accepted }) => ({
        id,
        answer: id === rephrases[0]?.id ? accepted[0] : id === random[0]?.id ? "changed" : "same",
        base: "same",
      })),
    );
    const { figures } = scored(await readPredictions(path, episodes));
    expect(figures.ES?.value).toBeCloseTo(1 / 4);
    expect(figures.ESself?.value).toBe(0);
    const ofFirst = random.filter(({ id }) => id.startsWith(`${episodes[0]?.name}-`)).length;
    const perEpisode = episodes.filter(({ questions: own }) => own.some(({ group }) => group === "outScope"));
    expect(figures.DD?.value).toBeCloseTo(1 / ofFirst / perEpisode.length);
  });

  test("without base answers only what needs none is told", async () => {
    const path = await save(questions.map(({ id }) => ({ id, answer: "" })));
    const { figures, lines } = scored(await readPredictions(path, episodes));
    const known = Object.entries(figures).flatMap(([name, figure]) => (figure === null ? [] : [name]));
    expect(known.sort()).toEqual(["DDgold", "ES", "ESall", "ESnoisy", "ESself", "ESstrict"]);
    expect(
      lines.filter(({ inScope }) => !inScope).every(({ right, base }) => right === null && base === null),
    ).toBe(true);
  });
});

function fail(): never {
  throw new Error("expected a cell");
}
