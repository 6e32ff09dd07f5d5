import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { SeprogError } from "../errors.js";

/** Folder of the embedded data sets, the same from `src/` and from `dist/`. */
export const EMBEDDED_DATA = fileURLToPath(new URL("../../assets/data/", import.meta.url));

const REPAIR = "reinstall the package, or rebuild the embedded data with scripts/data/build.mjs";

/** Path below the data folder → digest of the file's content after decompression. */
const checksumsSchema = z.record(z.string(), z.strictObject({ sha256: z.string(), bytes: z.int() }));

async function readOrExplain(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "DATA_INVALID",
      `expected embedded data at ${path} but received: ${reason}; ${REPAIR}`,
      {
        cause,
      },
    );
  }
}

function decompress(path: string, bytes: Buffer): Buffer {
  if (!path.endsWith(".gz")) return bytes;
  try {
    return gunzipSync(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SeprogError(
      "DATA_INVALID",
      `expected a gzip file at ${path} but received: ${reason}; ${REPAIR}`,
      {
        cause,
      },
    );
  }
}

/** Undefined if the text is no list of checksums. */
function parseChecksums(text: string): z.output<typeof checksumsSchema> | undefined {
  try {
    return checksumsSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function readChecksums(root: string): Promise<z.output<typeof checksumsSchema> | undefined> {
  return parseChecksums((await readOrExplain(`${root}/checksums.json`)).toString("utf8"));
}

/** Whether the file is among those published. @throws SeprogError DATA_INVALID if the list of them is missing */
export async function hasAsset(name: string, root: string = EMBEDDED_DATA): Promise<boolean> {
  return (await readChecksums(root))?.[name] !== undefined;
}

/**
 * Text of an embedded file, checked against `checksums.json`.
 * @param name path below the data folder, such as `counterfact/facts.jsonl.gz`
 * @throws SeprogError DATA_INVALID if a file is missing, damaged or not the one that was published
 */
export async function readAsset(name: string, root: string = EMBEDDED_DATA): Promise<string> {
  const expected = (await readChecksums(root))?.[name];
  if (expected === undefined)
    throw new SeprogError(
      "DATA_INVALID",
      `expected a checksum of ${name} in ${root}/checksums.json but found none; ${REPAIR}`,
    );
  const content = decompress(name, await readOrExplain(`${root}/${name}`));
  const sha256 = createHash("sha256").update(content).digest("hex");
  if (sha256 !== expected.sha256)
    throw new SeprogError(
      "DATA_INVALID",
      `expected SHA-256 ${expected.sha256} for ${root}/${name} but received ${sha256}; ${REPAIR}`,
    );
  return content.toString("utf8");
}

/** Rows of an embedded JSON Lines file. @throws SeprogError DATA_INVALID as `readAsset` */
export async function readAssetRows<Schema extends z.ZodType>(
  name: string,
  schema: Schema,
  root?: string,
): Promise<z.output<Schema>[]> {
  const rowsSchema = z.array(schema);
  const lines = (await readAsset(name, root)).split("\n").filter((line) => line !== "");
  return rowsSchema.parse(lines.map((line) => JSON.parse(line)));
}
