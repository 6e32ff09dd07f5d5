import type { TokenCodec } from "../official_files.js";

/** A text and the tokens it ends with, both as text. */
export interface CutText {
  readonly head: string;
  readonly tail: string;
}

const sameIds = (a: ArrayLike<number>, b: ArrayLike<number>): boolean =>
  a.length === b.length && Array.from(a).every((id, i) => id === b[i]);

export const textIds = (text: string, codec: TokenCodec): Int32Array =>
  codec.encode(text, { specialTokens: "none" });

/**
 * Cuts a text before its last tokens. Undefined where the parts, read as texts of their own, are other tokens (a cut
 * inside a character or a word), or nothing stands before them.
 * @param count tokens behind the cut
 */
export function cutBeforeLast(ids: Int32Array, count: number, codec: TokenCodec): CutText | undefined {
  if (ids.length <= count) return undefined;
  const [headIds, tailIds] = [ids.subarray(0, -count), ids.subarray(-count)];
  const [head, tail] = [codec.decode(headIds), codec.decode(tailIds)];
  const isWhole = sameIds(textIds(head, codec), headIds) && sameIds(textIds(tail, codec), tailIds);
  return isWhole ? { head, tail } : undefined;
}
