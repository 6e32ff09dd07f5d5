import { bytesOf, floatOf, intOf, textOf, type WireField, wireFields } from "./protobuf.js";

/** Kinds of pieces, as sentencepiece_model.proto numbers them. */
export const PIECE_TYPE = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const;

export interface Piece {
  readonly text: string;
  /** ln p. */
  readonly score: number;
  readonly type: number;
}

export const UNIGRAM = 1;

/** The part of a SentencePiece model (`ModelProto`) that a Unigram tokenizer needs. */
export interface SentencePieceModel {
  /** A piece's id is its place. */
  readonly pieces: readonly Piece[];
  /** 1 Unigram, 2 BPE, 3 words, 4 characters. */
  readonly modelType: number;
  readonly byteFallback: boolean;
  /** The normaliser's compiled map; empty where text stays as it is. */
  readonly charsmap: Uint8Array;
}

/** @throws RangeError if the bytes are no such message or a piece is not usable */
export function parseSentencePiece(bytes: Uint8Array): SentencePieceModel {
  const pieces: Piece[] = [];
  let modelType: number = UNIGRAM;
  let byteFallback = false;
  let charsmap: Uint8Array | undefined;
  for (const field of wireFields(bytes)) {
    if (field.number === 1) pieces.push(parsePiece(field, pieces.length));
    if (field.number === 2)
      for (const spec of wireFields(bytesOf(field))) {
        if (spec.number === 3) modelType = intOf(spec);
        if (spec.number === 35) byteFallback = intOf(spec) !== 0;
      }
    if (field.number === 3) {
      charsmap ??= new Uint8Array();
      for (const spec of wireFields(bytesOf(field))) if (spec.number === 2) charsmap = bytesOf(spec);
    }
  }
  if (pieces.length === 0) throw new RangeError("no pieces");
  if (charsmap === undefined) throw new RangeError("no normaliser behind the pieces: the file is cut short");
  return { pieces, modelType, byteFallback, charsmap };
}

function parsePiece(message: WireField, id: number): Piece {
  let text = "";
  let score = 0;
  let type: number = PIECE_TYPE.normal;
  for (const field of wireFields(bytesOf(message))) {
    if (field.number === 1) text = textOf(field);
    if (field.number === 2) score = floatOf(field);
    if (field.number === 3) type = intOf(field);
  }
  if (text === "") throw new RangeError(`piece ${id} has no text`);
  if (!Number.isFinite(score)) throw new RangeError(`piece ${id} has the score ${score}`);
  return { text, score, type };
}
