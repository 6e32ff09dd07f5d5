import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import { parseJsonLines } from "./json_lines.js";
import { Problems } from "./problems.js";
import type { EditRecord, Episode } from "./types.js";

/** One episode a line; edits name their records. */
const episodeSchema = z.strictObject({
  edits: z.array(z.strictObject({ id: z.string(), x_e: z.string(), y_e: z.string() })),
  inScope: z.array(
    z.strictObject({
      x: z.string(),
      y: z.string(),
      editIndex: z.int().min(0),
      kind: z.enum(["rephrase", "noisy", "self", "entailed"]),
    }),
  ),
  outScope: z.array(
    z.strictObject({ x: z.string(), y_gold: z.array(z.string()), kind: z.enum(["random", "hard"]) }),
  ),
});

/** Writes episodes as JSON Lines, whole or not at all. */
export async function writeEpisodeFile(path: string, episodes: readonly Episode[]): Promise<void> {
  const lines = episodes.map(({ edits, inScope, outScope }) =>
    JSON.stringify({
      edits: edits.map(({ record, x_e, y_e }) => ({ id: record.id, x_e, y_e })),
      inScope,
      outScope,
    }),
  );
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.part`, `${lines.join("\n")}\n`);
  await rename(`${path}.part`, path);
}

/**
 * @param records where the edits' records are looked up
 * @throws SeprogError DATA_INVALID with `file:line` for bad lines and for edits of unknown records
 */
export async function readEpisodeFile(path: string, records: readonly EditRecord[]): Promise<Episode[]> {
  const recordOf = new Map(records.map((record) => [record.id, record]));
  const problems = new Problems();
  const episodes: Episode[] = [];
  for await (const { number, value } of parseJsonLines(path, episodeSchema, problems)) {
    const edits = value.edits.flatMap(({ id, x_e, y_e }) => {
      const record = recordOf.get(id);
      if (record !== undefined) return [{ record, x_e, y_e }];
      problems.add(
        `${path}:${number}`,
        `\`edits\`: expected a record of the data set but received id "${id}"`,
      );
      return [];
    });
    if (value.inScope.some(({ editIndex }) => editIndex >= value.edits.length))
      problems.add(`${path}:${number}`, "`inScope.editIndex`: expected a number below the count of edits");
    episodes.push({ ...value, edits });
  }
  problems.throwIfAny(path);
  if (episodes.length === 0)
    throw new SeprogError("DATA_INVALID", `expected at least one episode in ${path} but received none`);
  return episodes;
}
