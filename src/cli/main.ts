import { ask } from "./commands/ask.js";
import { bench } from "./commands/bench.js";
import { build } from "./commands/build.js";
import { data } from "./commands/data.js";
import { doctor } from "./commands/doctor.js";
import { edit } from "./commands/edit.js";
import { evaluate } from "./commands/evaluate.js";
import { models } from "./commands/models.js";
import { pretrain } from "./commands/pretrain.js";
import { profile } from "./commands/profile.js";
import { report } from "./commands/report.js";
import { train } from "./commands/train.js";
import { verify } from "./commands/verify.js";
import { runProgram } from "./program.js";

// A reader that closes early, as `| head` does, ends the program without a complaint.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  throw error;
});

process.exitCode = await runProgram(process.argv.slice(2), [
  bench,
  train,
  evaluate,
  edit,
  ask,
  profile,
  pretrain,
  models,
  data,
  report,
  verify,
  doctor,
  build,
]);
