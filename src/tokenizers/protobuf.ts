/** A field of a message: its number and what was written, by wire type. */
export interface WireField {
  readonly number: number;
  /** Varint: its 64 bits. Fixed 32 or 64 bits, or of stated length: the bytes. */
  readonly value: bigint | Uint8Array;
}

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const MAX_VARINT_BYTES = 10;

/**
 * The fields of one message in the wire format of protocol buffers, in the file's order. Nothing is copied.
 * @throws RangeError if the message is cut short or no such format
 */
export function* wireFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at];
      if (byte === undefined) throw new RangeError(`the message ends inside a number at byte ${at}`);
      at += 1;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError(`a number of more than 64 bits before byte ${at}`);
  };
  const take = (length: bigint): Uint8Array => {
    const left = bytes.length - at;
    if (length > left)
      throw new RangeError(`a field of ${length} bytes at byte ${at}, where ${left} bytes are left`);
    at += Number(length);
    return bytes.subarray(at - Number(length), at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    if (number === 0) throw new RangeError(`field number 0 before byte ${at}`);
    if (wireType === VARINT) yield { number, value: varint() };
    else if (wireType === LENGTH_DELIMITED) yield { number, value: take(varint()) };
    else if (wireType === FIXED_64) yield { number, value: take(8n) };
    else if (wireType === FIXED_32) yield { number, value: take(4n) };
    else throw new RangeError(`unknown wire type ${wireType} before byte ${at}`);
  }
}

/** @throws RangeError if the field was not written as bytes */
export function bytesOf({ number, value }: WireField): Uint8Array {
  if (typeof value === "bigint") throw new RangeError(`expected bytes in field ${number}`);
  return value;
}

/** @throws RangeError if the field does not hold UTF-8 */
export function textOf(field: WireField): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOf(field));
  } catch {
    throw new RangeError(`expected UTF-8 in field ${field.number}`);
  }
}

/** An int32, bool or enum. @throws RangeError if the field was not written as a number */
export function intOf({ number, value }: WireField): number {
  if (typeof value !== "bigint") throw new RangeError(`expected a number in field ${number}`);
  return Number(BigInt.asIntN(32, value));
}

/** @throws RangeError if the field is no 32-bit float */
export function floatOf(field: WireField): number {
  const bytes = bytesOf(field);
  if (bytes.length !== 4) throw new RangeError(`expected a 32-bit float in field ${field.number}`);
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true);
}
