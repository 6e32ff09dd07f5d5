import os from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * Where answers of base models are kept for later runs: `SEPROG_CACHE`, else `$XDG_CACHE_HOME/seprog-native/answers`
 * (`~/.cache/…`).
 */
export function answerCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const { SEPROG_CACHE: own = "", XDG_CACHE_HOME: cache = "" } = environment;
  if (own !== "") return own;
  return join(isAbsolute(cache) ? cache : join(os.homedir(), ".cache"), "seprog-native", "answers");
}
