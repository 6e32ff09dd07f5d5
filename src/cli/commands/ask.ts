import type { Reply } from "../../bench/ask_stream.js";
import type { EditSession, SideBySide } from "../../bench/edit_session.js";
import { defineCommand } from "../command.js";
import { interruptible } from "../interrupt.js";
import {
  baseDtypeOption,
  deviceOption,
  editorOption,
  editorSetOption,
  memoryOption,
  modelOption,
  threadsOption,
} from "../options.js";
import { EXIT_FAILED } from "../program.js";

export const ask = defineCommand({
  command: "ask [questions..]",
  describe: "Ask the unedited and the edited model the same question, side by side",
  examples: [
    ['ask --memory my.safetensors "The native language of Jean Galland is"', "one question"],
    ["ask --memory my.safetensors < questions.txt", "one question a line from a file"],
    [
      "ask --memory my.safetensors --json < questions.jsonl",
      'a stream of {"question": …, "id": …}, answered line by line in its order',
    ],
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
    "base-dtype": baseDtypeOption,
    device: deviceOption,
    threads: threadsOption,
    json: { type: "boolean", default: false, describe: "Print one JSON object a line" },
  },
  run: async (args) => {
    const { withEditSession } = await import("../edit_session_args.js");
    const { parseInlineEdit } = await import("../edit_requests.js");
    const trials = args.edit.map(parseInlineEdit);
    const textOf = args.json ? jsonText : blockText;
    return interruptible((signal) =>
      // Edits for these questions only must never reach the file: they go to a session that has none to save to.
      withEditSession(
        args,
        { memoryMustExist: true, keepEdits: trials.length === 0, signal },
        async (session) => {
          if (trials.length > 0) await session.add(trials);
          if (args.questions && args.questions.length > 0) {
            for (const answer of await session.ask(args.questions)) process.stdout.write(textOf(answer));
            return 0;
          }
          return process.stdin.isTTY
            ? await answerTyped(session, textOf, signal)
            : await answerPiped(session, args.json ? jsonReply : blockReply, signal);
        },
      ),
    );
  },
});

async function answerTyped(
  session: EditSession,
  textOf: (answer: SideBySide) => string,
  signal: AbortSignal,
): Promise<number> {
  const { typedQuestions } = await import("../ask_input.js");
  for await (const question of typedQuestions(signal))
    for (const answer of await session.ask([question])) process.stdout.write(textOf(answer));
  return 0;
}

/** Resolves to the exit status: 1 if a line could not be answered. */
async function answerPiped(
  session: EditSession,
  textOf: (reply: Reply) => string,
  signal: AbortSignal,
): Promise<number> {
  const { answerStream } = await import("../../bench/ask_stream.js");
  const { askedLines, writeOut } = await import("../ask_input.js");
  let lines = 0;
  let refused = 0;
  try {
    for await (const replies of answerStream(session, askedLines(process.stdin, signal))) {
      lines += replies.length;
      refused += replies.filter((reply) => "problem" in reply).length;
      await writeOut(replies.map(textOf).join(""));
    }
  } finally {
    // Nobody reads on, and an open stream would keep the process.
    process.stdin.destroy();
  }
  if (refused === 0) return 0;
  process.stderr.write(`${refused} of ${lines} lines could not be answered\n`);
  return EXIT_FAILED;
}

function jsonReply({ id, ...reply }: Reply): string {
  const found = id !== undefined && { id };
  if (!("problem" in reply)) return `${JSON.stringify({ ...found, ...reply.answer })}\n`;
  const { code, message } = reply.problem;
  return `${JSON.stringify({ ...found, line: reply.line, error: { code, message } })}\n`;
}

function blockReply(reply: Reply): string {
  if (!("problem" in reply)) return blockText(reply.answer);
  const { code, message } = reply.problem;
  process.stderr.write(`line ${reply.line}: ${code}: ${message}\n`);
  return "";
}

const jsonText = (answer: SideBySide): string => `${JSON.stringify(answer)}\n`;

function blockText(answer: SideBySide): string {
  const { question, base, edited } = answer;
  const width = Math.max(12, base.length + 2);
  return `${question}\n  base: ${base.padEnd(width)}edited: ${edited}\n  ${why(answer)}\n`;
}

function why({ edits, gate, edit }: SideBySide): string {
  if (edits === 0) return "no edits";
  if (gate === null) return `no gate: ${edits} ${edits === 1 ? "edit" : "edits"} in the weights`;
  const nearest = edit === null ? "" : `, nearest edit ${edit.id}: ${edit.label.replace(" >> ", " → ")}`;
  return `gate ${gate.toFixed(3)} ${gate > 0.5 ? "on" : "off"}${nearest}`;
}
