import { pretrain } from "./commands/pretrain.js";
import { runProgram } from "./program.js";

process.exitCode = await runProgram(process.argv.slice(2), [pretrain]);
