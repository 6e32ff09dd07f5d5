// What a method costs that is added to a finished run, beside the same method in a run of its own; both find what the base
// model says in the cache. CPU time of all processes. t5-mini, CounterFact, methods that learn nothing.
// Beside it, how much of a run's CPU time is not its cells' processes: start, a look at the engine, tables, report.
// Usage: node bench/second_run/added_method.mjs [--rounds 3] [--edits 200] (after `npm run build`).
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const PROGRAM = fileURLToPath(new URL("../../bin/seprog-native.mjs", import.meta.url));
const { values } = parseArgs({
  options: { rounds: { type: "string", default: "3" }, edits: { type: "string", default: "200" } },
});

const suite = (methods) => `
schemaVersion: 1
name: added
model: t5-mini
datasets: [counterfact]
k: [1, 20, 128]
methods: { ${methods.map((kind) => `${kind}: { editor: { kind: ${kind} } }`).join(", ")} }
evaluation: { maxEdits: ${values.edits}, timing: { warmUps: 1, repetitions: 5 } }
`;

/** Appends the CPU time of every process of a run to a file, in the order in which they end. */
const CLOCK = `import { appendFileSync } from "node:fs";
process.on("exit", () => {
  const { user, system } = process.cpuUsage();
  appendFileSync(process.env.SEPROG_BENCH_CLOCK, (user + system) / 1000 + "\\n");
});`;

/**
 * CPU time of the program and its processes in ms; of that what is not the cells' own processes; how many cells were
 * measured.
 */
async function run(folder, file, out) {
  const clock = join(folder, `${out}.clock`);
  const { cpuMs, cells } = await runMeasured(folder, file, out, clock);
  // The first process only looks what the engine is, the last is the program.
  const [, ...ended] = (await readFile(clock, "utf8")).trimEnd().split("\n").map(Number);
  const inCellsMs = ended.slice(0, -1).reduce((sum, ms) => sum + ms, 0);
  return { cpuMs, besideMs: cpuMs - inCellsMs, cells };
}

function runMeasured(folder, file, out, clock) {
  return new Promise((resolve, reject) => {
    const args = [PROGRAM, "bench", "--suite", file, "--out", out, "--threads", "1"];
    const command = `"$@"; status=$?; times >&2; exit $status`;
    const child = spawn("bash", ["-c", command, "bash", process.execPath, ...args], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        SEPROG_CACHE: join(folder, "answers"),
        SEPROG_BENCH_CLOCK: clock,
        NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(CLOCK)}`,
      },
    });
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    child.on("close", (status) => {
      if (status !== 0) reject(new Error(said));
      const spent = [...(said.trimEnd().split("\n").at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
      const cpuMs = spent.reduce((sum, [, m, s]) => sum + 60_000 * m + 1000 * s, 0);
      resolve({ cpuMs, cells: said.match(/^\[\d+\/\d+\]/gm)?.length ?? 0 });
    });
  });
}

const folder = await mkdtemp(join(tmpdir(), "seprog-added-"));
try {
  await writeFile(join(folder, "first.yaml"), suite(["lookup"]));
  await writeFile(join(folder, "both.yaml"), suite(["lookup", "nearest"]));
  await writeFile(join(folder, "alone.yaml"), suite(["nearest"]));
  const first = await run(folder, "first.yaml", "first");
  const [added, alone] = [[], []];
  const addIt = async (round) => {
    await cp(join(folder, "first"), join(folder, `both-${round}`), { recursive: true });
    added.push(await run(folder, "both.yaml", `both-${round}`));
  };
  const runAlone = async (round) => {
    // The episodes are there in both: they are drawn once a run.
    await cp(join(folder, "first", "episodes"), join(folder, `alone-${round}`, "episodes"), { recursive: true });
    alone.push(await run(folder, "alone.yaml", `alone-${round}`));
  };
  for (let round = 0; round < Number(values.rounds); round += 1)
    for (const next of round % 2 === 0 ? [addIt, runAlone] : [runAlone, addIt]) await next(round);
  const least = (runs, pick) => Math.min(...runs.map(pick));
  const line = (what, runs) => {
    const [cpuMs, besideMs] = [least(runs, (one) => one.cpuMs), least(runs, (one) => one.besideMs)];
    console.log(
      `| ${what} | ${runs[0].cells} | ${(cpuMs / 1000).toFixed(2)} s | ${(besideMs / 1000).toFixed(2)} s |`,
    );
    return cpuMs;
  };
  console.log(`| ${values.edits} edits a K, least of ${values.rounds} | cells measured | CPU | of that not in cells |`);
  console.log("|---|---|---|---|");
  line("the first method, from cold (once)", [first]);
  const addedMs = line("a second one added", added);
  const aloneMs = line("the second one in a run of its own", alone);
  console.log(`added / alone: ${(addedMs / aloneMs).toFixed(3)}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
