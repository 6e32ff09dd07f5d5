import { type ErrorCode, isErrorCode, SeprogError } from "../errors.js";

type Coded = Error & { readonly code: ErrorCode };

/** Whether the addon threw it: its errors carry one of the stable codes. */
export function isCoded(error: unknown): error is Coded {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && isErrorCode(error.code)
  );
}

/** The addon's error as the package's own; anything else as it is. The stack begins at the caller of this function. */
export function asSeprogError(error: unknown): unknown {
  return isCoded(error) ? new SeprogError(error.code, error.message) : error;
}
