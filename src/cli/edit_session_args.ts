import { EditSession } from "../bench/edit_session.js";

export interface EditSessionArgs {
  readonly editor?: string | undefined;
  readonly memory?: string | undefined;
  readonly model?: string | undefined;
  readonly device: string;
  readonly threads?: number | undefined;
}

/** Opens what the arguments name, works with it and closes it. */
export async function withEditSession<Result>(
  { editor, memory, model, device, threads }: EditSessionArgs,
  options: { readonly memoryMustExist: boolean; readonly keepEdits?: boolean; readonly signal: AbortSignal },
  work: (session: EditSession) => Promise<Result>,
): Promise<Result> {
  await using session = await EditSession.open({
    editorDirectory: editor,
    memoryFile: memory,
    model,
    engine: { device, ...(threads !== undefined && { threads }) },
    ...options,
  });
  return await work(session);
}
