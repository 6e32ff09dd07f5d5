// Questions through `ask`, standard input to standard output, beside the same questions as one call of a session; and the
// memory of a long stream. t5-mini with its bundled editor and 64 edits; questions are CounterFact's wordings.
// Usage: node bench/stream/ask_stream.mjs [--questions 4000] [--rounds 3] [--long 100000] (after `npm run build`).
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { EditSession } from "../../dist/bench/edit_session.js";
import { loadDataset } from "../../dist/data/registry.js";

const EDITS = 64;
const PROGRAM = fileURLToPath(new URL("../../bin/seprog-native.mjs", import.meta.url));
const engine = { device: "cpu", threads: 1 };

const { values } = parseArgs({
  options: {
    questions: { type: "string", default: "4000" },
    rounds: { type: "string", default: "3" },
    long: { type: "string", default: "100000" },
  },
});

/** Wordings of the data set, again under another number where there are too few: none twice, all of the same lengths. */
async function wordings(count) {
  const { splits } = await loadDataset("counterfact", {});
  const records = [...splits.train, ...splits.validation, ...splits.test];
  const known = records.flatMap(({ x_e, in_scope }) => [x_e, ...in_scope.map(({ x }) => x)]);
  return Array.from({ length: count }, (_, i) => {
    const again = Math.floor(i / known.length);
    return `${100 + again}: ${known[i % known.length]}`;
  });
}

const jsonLines = (questions) =>
  questions.map((question, id) => `${JSON.stringify({ question, id })}\n`);

/** User and system time of a process in ms, and its resident memory in MiB. */
function spent(pid) {
  const [, utime, stime] = /\) (?:\S+ ){11}(\d+) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return { cpuMs: 10 * (Number(utime) + Number(stime)), rssMib: Number(kib) / 1024 };
}

/** The stream from its first answer to its last; `marks` are numbers of answers at which the memory is read. */
async function stream(memory, questions, marks = []) {
  const args = [PROGRAM, "ask", "--memory", memory, "--threads", "1", "--json"];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  Readable.from(jsonLines(questions)).pipe(child.stdin);
  let [answers, first, firstAnswers, last] = [0, null, 0, null];
  const rss = [];
  for await (const chunk of child.stdout) {
    const before = answers;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, at + 1)) answers += 1;
    last = { atMs: performance.now(), ...spent(child.pid) };
    if (first === null) [first, firstAnswers] = [last, answers];
    for (const mark of marks) if (before < mark && answers >= mark) rss.push([mark, last.rssMib]);
  }
  if (answers !== questions.length) throw new Error(`expected ${questions.length} answers, got ${answers}`);
  const counted = answers - firstAnswers;
  return { wall: (last.atMs - first.atMs) / counted, cpu: (last.cpuMs - first.cpuMs) / counted, rss };
}

async function batch(session, questions) {
  const startMs = performance.now();
  const before = process.cpuUsage();
  await session.ask(questions);
  const { user, system } = process.cpuUsage(before);
  return {
    wall: (performance.now() - startMs) / questions.length,
    cpu: (user + system) / 1000 / questions.length,
  };
}

const folder = await mkdtemp(join(tmpdir(), "seprog-stream-"));
let session;
try {
  const memory = join(folder, "edits.safetensors");
  session = await EditSession.open({ memoryFile: memory, memoryMustExist: false, engine });
  const { splits } = await loadDataset("counterfact", {});
  await session.add(
    splits.test.slice(0, EDITS).map(({ x_e, y_e_options }) => ({ question: x_e, answer: y_e_options[0] })),
  );
  const [count, rounds] = [Number(values.questions), Number(values.rounds)];
  // Every round asks what was not asked before: the tokenizer remembers texts.
  const all = await wordings(count * (rounds + 1));
  const part = (round) => all.slice(count * round, count * (round + 1));
  await session.ask(part(rounds));
  const [batches, streams] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    batches.push(await batch(session, part(round)));
    streams.push(await stream(memory, part(round)));
  }
  const least = (runs, clock) => Math.min(...runs.map((run) => run[clock]));
  console.log(`| ${count} questions, least of ${rounds} | CPU a question | wall a question |`);
  console.log("|---|---|---|");
  for (const [what, runs] of [["one call", batches], ["a stream", streams]])
    console.log(`| ${what} | ${least(runs, "cpu").toFixed(3)} ms | ${least(runs, "wall").toFixed(3)} ms |`);
  for (const clock of ["cpu", "wall"])
    console.log(`stream's throughput / batch's, ${clock}: ${(least(batches, clock) / least(streams, clock)).toFixed(2)}`);
  const long = Number(values.long);
  if (long > 0) {
    const marks = [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].map((share) => Math.round(share * long));
    const { rss } = await stream(memory, await wordings(long), marks);
    console.log(`resident: ${rss.map(([mark, mib]) => `${mib.toFixed(0)} MiB after ${mark}`).join(", ")}`);
  }
} finally {
  await session?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}
