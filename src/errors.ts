/** Stable error codes: part of the public API, also used by the native core. */
export const ERROR_CODES = [
  "CONFIG_INVALID",
  "NATIVE_NOT_FOUND",
  "NATIVE_INCOMPATIBLE",
  "CHECKPOINT_INVALID",
  "WEIGHT_MISSING",
  "SHAPE_MISMATCH",
  "DATA_INVALID",
  "UNSUPPORTED",
  "NON_FINITE",
  "OUT_OF_MEMORY",
  "DISPOSED",
  "ABORTED",
  "INTERNAL",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** The one error class of the package. `code` is stable; the message is for people. */
export class SeprogError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SeprogError";
    this.code = code;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return (ERROR_CODES as readonly string[]).includes(text);
}
