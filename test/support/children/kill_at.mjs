// Loaded before a program by `node --import`: ends its process by SIGKILL around a call of node:fs/promises.
// SEPROG_TEST_KILL is JSON of { call, target, when }: the name of the call, the last part of its last path as a regular
// expression, and "before" it or "after" it, in the midst of whatever the program does then.
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename } from "node:path";

const { call, target, when } = JSON.parse(process.env.SEPROG_TEST_KILL);
const kill = () => process.kill(process.pid, "SIGKILL");
const original = promises[call];
promises[call] = async (...args) => {
  const path = args.findLast((arg) => typeof arg === "string");
  const isMeant = new RegExp(target).test(basename(path));
  if (isMeant && when === "before") kill();
  const result = await original(...args);
  // Behind what follows at once: a job of the engine, most of the time.
  if (isMeant && when === "after") setImmediate(kill);
  return result;
};
syncBuiltinESMExports();
