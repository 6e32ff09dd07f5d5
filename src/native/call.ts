/** One call of the addon as users see it: an AbortSignal instead of a token, SeprogError instead of raw errors. */
import { SeprogError } from "../errors.js";
import type { NativeCancelToken } from "./addon.js";
import { loadAddon } from "./load.js";
import { asSeprogError, isCoded } from "./translate_error.js";

/** What every call takes. */
export interface CallOptions {
  /** When it aborts, the call stops at its next step and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface MeasuredCallOptions extends CallOptions {
  /** Adds `measurement` to the result: time and memory of the whole call and of its phases. */
  readonly measure?: boolean | "detail";
}

/** The same options as the addon takes them. */
type Native<Options> = Options extends undefined
  ? undefined
  : Omit<Options, "signal"> & { readonly cancel?: NativeCancelToken };

/**
 * Awaits `run` with the options as the addon takes them.
 *
 * Errors are made anew here and not by the addon: inside an async function that is being awaited V8 gives them the
 * caller's stack.
 */
export async function call<Options extends CallOptions | undefined, Result>(
  options: Options,
  run: (options: Native<Options>) => Promise<Result>,
): Promise<Result> {
  const { nativeOptions, release } = bindSignal(options);
  try {
    return await run(nativeOptions as Native<Options>);
  } catch (error) {
    const signal = options?.signal;
    if (signal?.aborted && isCoded(error) && error.code === "ABORTED") throw signal.reason;
    throw asSeprogError(error);
  } finally {
    release?.();
  }
}

interface Bound {
  /** A Native of what was given. */
  readonly nativeOptions: unknown;
  readonly release?: () => void;
}

function bindSignal(options: CallOptions | undefined): Bound {
  // Without a signal the options are the addon's already; it also says what is wrong with them.
  if (options?.signal === undefined) return { nativeOptions: options };
  const { signal, ...rest } = options;
  if (!(signal instanceof AbortSignal)) {
    throw new SeprogError("CONFIG_INVALID", "expected an AbortSignal for `options.signal`");
  }
  signal.throwIfAborted();
  const { token, release } = lendToken(signal);
  return { nativeOptions: { ...rest, cancel: token }, release };
}

interface Lent {
  readonly token: NativeCancelToken;
  readonly cancel: () => void;
  calls: number;
}

// One token and one listener a signal, however many calls run under it: Node warns of more than ten listeners.
const lent = new WeakMap<AbortSignal, Lent>();

function lendToken(signal: AbortSignal): { readonly token: NativeCancelToken; readonly release: () => void } {
  const entry = lent.get(signal) ?? listenTo(signal);
  entry.calls++;
  const release = (): void => {
    if (--entry.calls > 0) return;
    signal.removeEventListener("abort", entry.cancel);
    lent.delete(signal);
  };
  return { token: entry.token, release };
}

function listenTo(signal: AbortSignal): Lent {
  const token = new (loadAddon().CancelToken)();
  const entry: Lent = { token, cancel: () => token.cancel(), calls: 0 };
  signal.addEventListener("abort", entry.cancel, { once: true });
  lent.set(signal, entry);
  return entry;
}
