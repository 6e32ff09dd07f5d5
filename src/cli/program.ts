import { readFileSync } from "node:fs";
import { join } from "node:path";
import yargs from "yargs";
import { packageRoot } from "../config/paths.js";
import { didYouMean } from "../config/suggest.js";
import { SeprogError } from "../errors.js";
import { type Command, outcome } from "./command.js";
import { EXIT_INTERRUPTED } from "./interrupt.js";
import { UsageError } from "./usage_error.js";

export const PROGRAM = "seprog-native";

/** Exit statuses; documented in docs/cli.md. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Parses the command line, runs the command and returns the exit status. Errors are printed, never thrown. */
export async function runProgram(argv: readonly string[], commands: readonly Command[]): Promise<number> {
  outcome.status = 0;
  let program = yargs([...argv])
    .scriptName(PROGRAM)
    .usage("$0 <command> [options]\n\nModel editing by generated prefix prompts, on a native engine.")
    .version(packageVersion())
    .help()
    .alias("h", "help")
    .option("verbose", { type: "boolean", default: false, describe: "Print where an error came from" })
    .strict()
    .demandCommand(1, "Say what to do: one of the commands above.")
    .wrap(Math.min(110, process.stdout.columns ?? 100))
    .exitProcess(false)
    .epilogue(
      "Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Every command has its own --help.",
    )
    .fail((message, error) => {
      throw error ?? new UsageError(message);
    });
  for (const { module } of commands) program = program.command(module);
  try {
    await program.parseAsync();
    return outcome.status;
  } catch (error) {
    return report(error, argv, commands);
  }
}

function report(error: unknown, argv: readonly string[], commands: readonly Command[]): number {
  if (error instanceof UsageError || (error instanceof Error && error.name === "YError")) {
    process.stderr.write(`${PROGRAM}: ${usageMessage(error.message, argv, commands)}\n`);
    const command = commands.find(({ name }) => name === argv[0]);
    process.stderr.write(`Try: ${PROGRAM}${command ? ` ${command.name}` : ""} --help\n`);
    return EXIT_USAGE;
  }
  if (error instanceof SeprogError && error.code === "ABORTED") {
    process.stderr.write(`${PROGRAM}: stopped (${error.message})\n`);
    return EXIT_INTERRUPTED;
  }
  const code = error instanceof SeprogError ? error.code : "INTERNAL";
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${PROGRAM}: ${code}: ${message}\n`);
  if (argv.includes("--verbose") && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  return EXIT_FAILED;
}

function usageMessage(message: string, argv: readonly string[], commands: readonly Command[]): string {
  const command = commands.find(({ name }) => name === argv[0]);
  if (command && /^Not enough non-option arguments/.test(message)) {
    return `an argument is missing: ${PROGRAM} ${String(command.module.command)}`;
  }
  const unknown = /^Unknown (?:arguments?|commands?): (.+)$/.exec(message)?.[1]?.split(", ");
  if (unknown === undefined) return message;
  if (command === undefined) {
    const names = commands.map(({ name }) => name);
    return `unknown command "${unknown[0] ?? ""}"${didYouMean(unknown[0] ?? "", names)}`;
  }
  const known = [...command.optionNames, "help", "version", "verbose"];
  // yargs repeats an unknown option in camel case; one of the two says enough.
  const typed = unknown.filter((name) => argv.some((word) => word.replace(/^-+/, "").split("=")[0] === name));
  return (typed.length > 0 ? typed : unknown)
    .map((name) => `unknown argument "${name}" for ${command.name}${didYouMean(name, known)}`)
    .join("\n");
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest
    ? String(manifest.version)
    : "unknown";
}
