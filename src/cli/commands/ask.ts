import type { EditSession, SideBySide } from "../../bench/edit_session.js";
import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import {
  deviceOption,
  editorOption,
  editorSetOption,
  memoryOption,
  modelOption,
  threadsOption,
} from "../options.js";

export const ask = defineCommand({
  command: "ask [questions..]",
  describe: "Ask the unedited and the edited model the same question, side by side",
  examples: [
    ['ask --memory my.safetensors "The native language of Jean Galland is"', "one question"],
    ["ask --memory my.safetensors < questions.txt", "one question a line from a file"],
    ["ask --memory my.safetensors", "on a terminal: questions as you type them"],
    [
      'ask --edit "The mother tongue of Jean Galland is=Russian" "Jean Galland, a native speaker of"',
      "try an edit without keeping it",
    ],
  ],
  positionals: { questions: { type: "string", array: true, describe: "What is asked" } },
  options: {
    editor: editorOption,
    set: editorSetOption,
    memory: memoryOption,
    edit: {
      type: "string",
      array: true,
      nargs: 1,
      requiresArg: true,
      default: [] as string[],
      defaultDescription: "none",
      describe: "question=answer: an edit for these questions only; may be repeated",
    },
    model: modelOption,
    device: deviceOption,
    threads: threadsOption,
    json: { type: "boolean", default: false, describe: "Print one JSON object a line" },
  },
  run: async (args) => {
    const { withEditSession } = await import("../edit_session_args.js");
    const { parseInlineEdit } = await import("../edit_requests.js");
    const { readLines } = await import("../ask_input.js");
    const trials = args.edit.map(parseInlineEdit);
    const show = args.json ? printJson : printBlock;
    return interruptible((signal) =>
      // Edits for these questions only must never reach the file: they go to a session that has none to save to.
      withEditSession(
        args,
        { memoryMustExist: true, keepEdits: trials.length === 0, signal },
        async (session) => {
          if (trials.length > 0) await session.add(trials);
          if (args.questions && args.questions.length > 0) {
            for (const answer of await session.ask(args.questions)) show(answer);
            return 0;
          }
          for await (const question of readLines(signal)) await answerOne(session, question, show);
          return 0;
        },
      ),
    );
  },
});

async function answerOne(
  session: EditSession,
  question: string,
  show: (answer: SideBySide) => void,
): Promise<void> {
  for (const answer of await session.ask([question])) show(answer);
}

function printJson(answer: SideBySide): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function printBlock(answer: SideBySide): void {
  const { question, base, edited } = answer;
  const width = Math.max(12, base.length + 2);
  process.stdout.write(`${question}\n  base: ${base.padEnd(width)}edited: ${edited}\n  ${why(answer)}\n`);
}

function why({ edits, gate, edit }: SideBySide): string {
  if (edits === 0) return "no edits";
  if (gate === null) return `no gate: ${edits} ${edits === 1 ? "edit" : "edits"} in the weights`;
  const nearest = edit === null ? "" : `, nearest edit ${edit.id}: ${edit.label.replace(" >> ", " → ")}`;
  return `gate ${gate.toFixed(3)} ${gate > 0.5 ? "on" : "off"}${nearest}`;
}
