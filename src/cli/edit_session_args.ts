import { EditSession } from "../bench/edit_session.js";
import { parseOverrides } from "../config/overrides.js";
import type { BaseDtype } from "../models/base_dtype.js";
import { type EngineArgs, engineChoice } from "./engine_choice.js";

export interface EditSessionArgs extends EngineArgs {
  readonly editor?: string | undefined;
  readonly set: readonly string[];
  readonly memory?: string | undefined;
  readonly model?: string | undefined;
  readonly "base-dtype"?: BaseDtype | undefined;
}

/** Opens what the arguments name, works with it and closes it. */
export async function withEditSession<Result>(
  { editor, set, memory, model, "base-dtype": baseDtype, ...engine }: EditSessionArgs,
  options: { readonly memoryMustExist: boolean; readonly keepEdits?: boolean; readonly signal: AbortSignal },
  work: (session: EditSession) => Promise<Result>,
): Promise<Result> {
  await using session = await EditSession.open({
    editor,
    editorOptions: parseOverrides(set),
    memoryFile: memory,
    model,
    baseDtype,
    engine: engineChoice(engine),
    ...options,
  });
  return await work(session);
}
