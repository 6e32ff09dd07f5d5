// The same work by the product and by what users run today, in turns, and the ratio tables in bench/README.md.
// Usage: node bench/peers/run.mjs [--only generate,evaluate,encoder,seprog,enn,mend] [--python PATH] [--threads N]
//   [--rounds N] [--no-build] [--dry-run]
// Makes bench/peers/.venv from requirements.txt, unless --python names an interpreter that has it all; builds the package
// and the native drivers; runs the scripts beside this file. Each checks that both sides give the same answers and prints
// one JSON object. A table is written only when all its runs succeeded. --rounds is of every script; --dry-run prints the
// tables and leaves the README as it is.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { TABLES } from "./tables.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "..", "..");
const readme = join(root, "bench", "README.md");
const requirements = join(here, "requirements.txt");

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

const note = (text) => process.stderr.write(`${text}\n`);

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string" },
        python: { type: "string" },
        threads: { type: "string", default: "2" },
        rounds: { type: "string" },
        "no-build": { type: "boolean", default: false },
        "dry-run": { type: "boolean", default: false },
      },
    });
    const names = values.only?.split(",") ?? Object.keys(TABLES);
    const unknown = names.filter((name) => !(name in TABLES));
    if (unknown.length > 0)
      fail(`expected some of ${Object.keys(TABLES).join(", ")} for --only but received ${unknown.join(", ")}`);
    for (const name of ["threads", "rounds"]) {
      const value = values[name];
      if (value !== undefined && !/^[1-9]\d*$/.test(value))
        fail(`expected a whole number above 0 for --${name} but received ${JSON.stringify(value)}`);
    }
    return { ...values, names };
  } catch (error) {
    return fail(error.message);
  }
}

/** Runs a command with its output on stderr; stdout is for tables. */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) fail(`${[command, ...args].join(" ")} failed${error ? `: ${error.message}` : ""}`);
}

/** An interpreter with the packages of requirements.txt. */
function interpreter(given) {
  if (given !== undefined) {
    const wanted = readFileSync(requirements, "utf8").match(/^[a-z].*==.*$/gm);
    const code = `
import importlib.metadata as m, sys
for line in sys.argv[1:]:
    name, version = line.split("==")
    try: found = m.version(name)
    except m.PackageNotFoundError: found = "nothing"
    if found.split("+")[0] != version: print(f"{line} (found {found})")`;
    const check = spawnSync(given, ["-c", code, ...wanted], { encoding: "utf8" });
    if (check.status !== 0) fail(`expected a Python interpreter for --python but received ${given}`);
    if (check.stdout) fail(`expected these packages in ${given}:\n${check.stdout}Leave --python out to have them installed.`);
    return given;
  }
  const folder = join(here, ".venv");
  const python = join(folder, "bin", "python");
  const stamp = join(folder, "requirements.sha256");
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return python;
  note(`making ${folder}: gigabytes the first time`);
  run("python3", ["-m", "venv", "--clear", folder]);
  run(python, ["-m", "pip", "install", "--disable-pip-version-check", "-r", requirements]);
  writeFileSync(stamp, hash);
  return python;
}

function build(targets) {
  run("npm", ["run", "build"]);
  if (targets.length === 0) return;
  run("cmake", ["-S", ".", "-B", "build/native", "-DSEPROG_BENCH=ON"]);
  run("cmake", ["--build", "build/native", "--target", ...targets]);
}

/** The last JSON object that a script printed. */
function measure(python, [script, ...args], { threads, rounds }) {
  const all = [join(here, script), ...args, "--threads", threads, ...(rounds ? ["--rounds", rounds] : [])];
  note(`  ${script} ${args.join(" ")}`);
  const env = {
    OMP_WAIT_POLICY: "passive",
    HF_HUB_DISABLE_PROGRESS_BARS: "1",
    TRANSFORMERS_VERBOSITY: "error",
    ...process.env,
  };
  const { status, stdout } = spawnSync(python, all, {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", 2],
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  return status === 0 ? JSON.parse(stdout) : undefined;
}

const line = (cells) => `| ${cells.join(" | ")} |`;

function markdown({ columns, row }, results, { threads }) {
  const [{ model }] = cpus();
  const day = new Date().toISOString().slice(0, 10);
  return [
    `${model.trim()}, ${threads} thread${threads === "1" ? "" : "s"}, ${day}.`,
    "",
    line(columns),
    line(columns.map(() => "---")),
    ...results.flatMap(row).map(line),
  ].join("\n");
}

/** Replaces what stands between a table's markers. */
function write(name, text) {
  const old = readFileSync(readme, "utf8");
  const [begin, end] = [`<!-- peers:${name} -->`, `<!-- /peers:${name} -->`];
  const from = old.indexOf(begin);
  const to = old.indexOf(end);
  if (from < 0 || to < from) fail(`expected ${begin} and ${end} in ${readme}`);
  const temporary = `${readme}.${process.pid}`;
  writeFileSync(temporary, `${old.slice(0, from + begin.length)}\n${text}\n${old.slice(to)}`);
  renameSync(temporary, readme);
}

const chosen = options();
const python = interpreter(chosen.python);
if (!chosen["no-build"]) build([...new Set(chosen.names.flatMap((name) => TABLES[name].drivers))]);
const failed = [];
for (const name of chosen.names) {
  note(name);
  const table = TABLES[name];
  const results = [];
  for (const command of table.runs) {
    const result = measure(python, command, chosen);
    if (result === undefined) break;
    results.push(result);
  }
  if (results.length < table.runs.length) {
    failed.push(name);
    continue;
  }
  const text = markdown(table, results, chosen);
  console.log(`${name}\n\n${text}\n`);
  if (!chosen["dry-run"]) write(name, text);
}
if (failed.length > 0) fail(`not measured: ${failed.join(", ")}; what was wrong stands above`);
