export interface TextLimits {
  readonly maxSourceTokens: number;
  readonly maxTargetTokens: number;
  readonly maxEditTokens: number;
  /** What joins x_e and y_e into the text that the edit encoder reads, unless it reads pairs. */
  readonly editSeparator: string;
  /** Exact length of the answers of models that continue their source; absent: up to `maxTargetTokens`. */
  readonly answerTokens?: number | undefined;
}

export const DEFAULT_TEXT_LIMITS: TextLimits = {
  maxSourceTokens: 32,
  maxTargetTokens: 32,
  maxEditTokens: 64,
  editSeparator: " >> ",
};
