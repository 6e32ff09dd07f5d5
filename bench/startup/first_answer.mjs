// From the start of a process to its first answer: `ask` with one question on the bundled editor and t5-mini, and the same
// in stages. Usage: node bench/startup/first_answer.mjs [--rounds 10] (after `npm run build`); prints a table.
import { spawn } from "node:child_process";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const QUESTION = "The native language of Jean Galland is";
const EDIT = "The mother tongue of Jean Galland is=Russian";
const fromHere = (path) => fileURLToPath(new URL(path, import.meta.url));

const cpuMs = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Every stage behind the one before it, in a process of its own; prints their ends since the process began, by both clocks. */
async function stages() {
  const ends = [];
  const end = (stage) => ends.push([stage, performance.now(), cpuMs()]);
  end("Node.js");
  const { loadAddon } = await import("../../dist/native/load.js");
  const { openEngine } = await import("../../dist/native/engine.js");
  loadAddon();
  end("libtorch and the addon");
  const { EditSession } = await import("../../dist/bench/edit_session.js");
  const { readTrained, bundledEditors } = await import("../../dist/training/trained_editors.js");
  const { resolveModel } = await import("../../dist/config/paths.js");
  const { engineSpec } = await import("../../dist/config/editor_spec.js");
  const { Tokenizer } = await import("../../dist/tokenizers/tokenizer.js");
  end("JavaScript modules");
  const engine = await openEngine({ threads: 1 });
  await engine.matmulBackend();
  end("engine, choice of the matrix library");
  const [folder] = bundledEditors();
  const trained = await readTrained(folder);
  const modelFolder = resolveModel(trained.model.name);
  await Tokenizer.load(modelFolder);
  end("tokenizer");
  const base = await engine.loadModel(modelFolder, { addPadToken: true });
  end("base model");
  const editor = await engine.createEditor(engineSpec(trained.method.editor, trained.seed), base);
  await editor.restore(folder);
  end("editor");
  await engine.close();
  const session = await EditSession.open({
    memoryMustExist: false,
    engine: { device: "cpu", threads: 1 },
  });
  end("");
  await session.add([{ question: "The mother tongue of Jean Galland is", answer: "Russian" }]);
  await session.ask([QUESTION]);
  end("an edit and the answer");
  process.stdout.write(JSON.stringify(ends));
  process.exit();
}

/** Wall time until the first byte of standard output, CPU time of the whole process, in ms, and what it wrote. */
function timed(args) {
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const command = `"$@"; status=$?; times >&2; exit $status`;
    const child = spawn("bash", ["-c", command, "bash", process.execPath, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let firstMs = null;
    let [text, said] = ["", ""];
    child.stdout.on("data", (chunk) => {
      firstMs ??= performance.now() - startMs;
      text += chunk;
    });
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    child.on("close", (status) => {
      if (status !== 0) reject(new Error(`${args.join(" ")} ended with ${status}: ${said}`));
      // The second line of what the shell knows is about its children: user and system, 0m1.234s.
      const spent = [...(said.trimEnd().split("\n").at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
      resolve({ firstMs, cpu: spent.reduce((sum, [, m, s]) => sum + 60_000 * m + 1000 * s, 0), text });
    });
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

async function table(rounds) {
  const ask = ["ask", "--threads", "1", "--edit", EDIT, QUESTION];
  const program = fromHere("../../bin/seprog-native.mjs");
  const [asked, empty, staged] = [[], [], []];
  for (let round = 0; round <= rounds; round += 1) {
    const one = await timed([program, ...ask]);
    const nothing = await timed(["-e", "console.log()"]);
    const { text } = await timed([fileURLToPath(import.meta.url), "--stages"]);
    // The first round fills the caches of the system.
    if (round === 0) continue;
    asked.push([one.firstMs, one.cpu]);
    empty.push([nothing.firstMs, nothing.cpu]);
    staged.push(JSON.parse(text));
  }
  console.log(`| start to first answer, ${rounds} rounds | wall: median, least | CPU: median, least |\n|---|---|---|`);
  const figures = (values) => `${median(values).toFixed(0)}, ${Math.min(...values).toFixed(0)} ms`;
  const line = (what, pairs) =>
    console.log(`| ${what} | ${figures(pairs.map(([wall]) => wall))} | ${figures(pairs.map(([, cpu]) => cpu))} |`);
  line("`ask` with an edit and a question", asked);
  line("an empty Node.js", empty);
  for (const [i, [stage]] of staged[0].entries())
    if (stage !== "")
      line(
        `… ${stage}`,
        staged.map((ends) => [1, 2].map((clock) => ends[i][clock] - (i === 0 ? 0 : ends[i - 1][clock]))),
      );
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" }, stages: { type: "boolean" } } });
if (values.stages) await stages();
else await table(Number(values.rounds));
