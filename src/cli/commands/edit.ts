import { defineCommand, defineGroup } from "../command.js";
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
import { wholeNumber } from "../usage_error.js";

const shared = {
  editor: editorOption,
  set: editorSetOption,
  memory: { ...memoryOption, demandOption: true },
  model: modelOption,
  "base-dtype": baseDtypeOption,
  device: deviceOption,
  threads: threadsOption,
} as const;

const add = defineCommand({
  command: "add [question] [answer]",
  describe: "Add an edit, or those of a JSON Lines file",
  examples: [
    ['edit add --memory my.safetensors "The mother tongue of Jean Galland is" "Russian"', "add one edit"],
    ["edit add --memory my.safetensors --from mine.jsonl", "add the edits of a file of common records"],
  ],
  positionals: {
    question: { type: "string", describe: "What is asked" },
    answer: { type: "string", describe: "What shall be answered" },
  },
  options: {
    ...shared,
    from: {
      type: "string",
      requiresArg: true,
      describe: "A JSON Lines file; its first answer of each record is taken",
    },
  },
  run: async (args) => {
    const { readEditRequests } = await import("../edit_requests.js");
    const { withEditSession } = await import("../edit_session_args.js");
    const edits = await readEditRequests(args);
    return interruptible((signal) =>
      withEditSession(args, { memoryMustExist: false, signal }, async (session) => {
        const ids = await session.add(edits);
        edits.forEach(({ question, answer }, index) => {
          process.stdout.write(`${String(ids[index]).padStart(5)}  ${question} → ${answer}\n`);
        });
        return 0;
      }),
    );
  },
});

const list = defineCommand({
  command: "list",
  describe: "List the edits of a memory file",
  examples: [["edit list --memory my.safetensors", "ids and edits"]],
  options: { ...shared, json: { type: "boolean", default: false, describe: "Print JSON" } },
  run: async (args) => {
    const { withEditSession } = await import("../edit_session_args.js");
    return interruptible((signal) =>
      withEditSession(args, { memoryMustExist: true, signal }, async (session) => {
        const rows = await session.list();
        if (args.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
        else if (rows.length === 0) process.stdout.write("no edits\n");
        else
          for (const { id, label } of rows)
            process.stdout.write(`${String(id).padStart(5)}  ${label.replace(" >> ", " → ")}\n`);
        return 0;
      }),
    );
  },
});

const remove = defineCommand({
  command: "remove <ids..>",
  describe: "Remove edits by their ids; the others keep theirs",
  examples: [["edit remove 1 3 --memory my.safetensors", "remove two edits"]],
  positionals: {
    ids: {
      type: "number",
      array: true,
      demandOption: true,
      coerce: (ids: number[]) => ids.map(wholeNumber("ids", 1)),
      describe: "Ids, as edit list shows them",
    },
  },
  options: shared,
  run: async (args) => {
    const { withEditSession } = await import("../edit_session_args.js");
    return interruptible((signal) =>
      withEditSession(args, { memoryMustExist: true, signal }, async (session) => {
        await session.remove(args.ids);
        process.stdout.write(`removed ${args.ids.join(", ")}; ${(await session.list()).length} left\n`);
        return 0;
      }),
    );
  },
});

export const edit = defineGroup("edit", "Add, list and remove edits in a memory file", [add, list, remove]);
