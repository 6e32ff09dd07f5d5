// What a method costs that is added to a finished run, beside the same method in a run of its own; both find what the base
// model says in the cache. CPU time of all processes. t5-mini, CounterFact, methods that learn nothing.
// Usage: node bench/second_run/added_method.mjs [--rounds 3] (after `npm run build`).
import { spawn } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const PROGRAM = fileURLToPath(new URL("../../bin/seprog-native.mjs", import.meta.url));
const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });

const suite = (methods) => `
schemaVersion: 1
name: added
model: t5-mini
datasets: [counterfact]
k: [1, 20, 128]
methods: { ${methods.map((kind) => `${kind}: { editor: { kind: ${kind} } }`).join(", ")} }
evaluation: { maxEdits: 200, timing: { warmUps: 1, repetitions: 5 } }
`;

/** CPU time of the program and its processes in ms, and how many cells it measured. */
function run(folder, file, out) {
  return new Promise((resolve, reject) => {
    const args = [PROGRAM, "bench", "--suite", file, "--out", out, "--threads", "1"];
    const command = `"$@"; status=$?; times >&2; exit $status`;
    const child = spawn("bash", ["-c", command, "bash", process.execPath, ...args], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, SEPROG_CACHE: join(folder, "answers") },
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
  for (let round = 0; round < Number(values.rounds); round += 1) {
    await cp(join(folder, "first"), join(folder, `both-${round}`), { recursive: true });
    added.push(await run(folder, "both.yaml", `both-${round}`));
    // The episodes are there in both: they are drawn once a run.
    await cp(join(folder, "first", "episodes"), join(folder, `alone-${round}`, "episodes"), { recursive: true });
    alone.push(await run(folder, "alone.yaml", `alone-${round}`));
  }
  const least = (runs) => Math.min(...runs.map(({ cpuMs }) => cpuMs));
  const line = (what, { cells }, cpuMs) => console.log(`| ${what} | ${cells} | ${(cpuMs / 1000).toFixed(2)} s |`);
  console.log(`| least of ${values.rounds} | cells measured | CPU |\n|---|---|---|`);
  line("the first method, from cold (once)", first, first.cpuMs);
  line("a second one added", added[0], least(added));
  line("the second one in a run of its own", alone[0], least(alone));
  console.log(`added / alone: ${(least(added) / least(alone)).toFixed(3)}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
