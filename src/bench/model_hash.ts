import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { SeprogError } from "../errors.js";

/** SHA-256 over a model's config, tokenizer and weights. */
export async function modelHash(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) =>
    /^(config|tokenizer|vocab)\.json$|^(spiece\.model|merges\.txt|vocab\.txt)$|\.(safetensors|bin)$/.test(
      name,
    ),
  );
  return hashFiles(names.sort().map((name) => join(folder, name)));
}

/** SHA-256 over the files, one behind the other. @throws SeprogError DATA_INVALID for one that cannot be read */
export async function hashFiles(paths: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const path of paths) {
    await pipeline(createReadStream(path), hash, { end: false }).catch((cause: unknown) => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SeprogError("DATA_INVALID", `expected a readable file at ${path} but received: ${reason}`, {
        cause,
      });
    });
  }
  return hash.digest("hex");
}
