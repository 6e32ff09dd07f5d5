import { SeprogError } from "../errors.js";

/** Adds to the engine's NON_FINITE where it happened and what to do; other errors pass as they are. */
export function explainNonFinite(error: unknown, step: number, directory: string): unknown {
  if (!(error instanceof SeprogError) || error.code !== "NON_FINITE") return error;
  return new SeprogError(
    "NON_FINITE",
    `training stopped at step ${step + 1}: ${error.message}; the last good checkpoint is kept in ${directory}; try a lower \`training.learningRate\``,
    { cause: error },
  );
}
