import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { z } from "zod";
import { SeprogError } from "../errors.js";
import { writeFileAtomically } from "../files.js";
import { parseJsonLines } from "./json_lines.js";
import { Problems } from "./problems.js";
import { describeIssues } from "./schema.js";
import type { EditRecord, Episode } from "./types.js";

/** The first line. */
const headerSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Of everything the episodes were drawn from. */
  identity: z.string(),
  /** SHA-256 of the lines below. */
  sha256: z.string(),
});

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

function toLines(episodes: readonly Episode[]): string {
  const rows = episodes.map(({ edits, inScope, outScope }) => ({
    edits: edits.map(({ record, x_e, y_e }) => ({ id: record.id, x_e, y_e })),
    inScope: inScope.map(({ x, y, editIndex, kind }) => ({ x, y, editIndex, kind })),
    outScope: outScope.map(({ x, y_gold, kind }) => ({ x, y_gold, kind })),
  }));
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** SHA-256 over everything the episodes ask: of the lines they are written as. */
export function episodesChecksum(episodes: readonly Episode[]): string {
  return createHash("sha256").update(toLines(episodes)).digest("hex");
}

/** Writes a header and one episode a line, whole or not at all. */
export async function writeEpisodeFile(
  path: string,
  identity: string,
  episodes: readonly Episode[],
): Promise<void> {
  const header = { schemaVersion: 1, identity, sha256: episodesChecksum(episodes) };
  await writeFileAtomically(path, `${JSON.stringify(header)}\n${toLines(episodes)}`);
}

/**
 * @param records where the edits' records are looked up
 * @returns undefined if there is no file, or one of another identity
 * @throws SeprogError DATA_INVALID with `file:line` for bad lines and for edits of unknown records; for a file that
 *   was changed
 */
export async function readEpisodeFile(
  path: string,
  identity: string,
  records: readonly EditRecord[],
): Promise<Episode[] | undefined> {
  if (!existsSync(path)) return undefined;
  const recordOf = new Map(records.map((record) => [record.id, record]));
  const problems = new Problems();
  const episodes: Episode[] = [];
  let sha256: string | undefined;
  for await (const { number, value } of parseJsonLines(path, z.unknown(), problems)) {
    const place = `${path}:${number}`;
    if (number === 1) {
      const header = headerSchema.safeParse(value);
      if (header.success && header.data.identity !== identity) return undefined;
      if (header.success) sha256 = header.data.sha256;
      else for (const issue of describeIssues(header.error)) problems.add(place, issue);
      continue;
    }
    const parsed = episodeSchema.safeParse(value);
    if (parsed.success) episodes.push(toEpisode(parsed.data, recordOf, place, problems));
    else for (const issue of describeIssues(parsed.error)) problems.add(place, issue);
  }
  problems.throwIfAny(path);
  if (episodes.length === 0 || episodesChecksum(episodes) !== sha256)
    throw new SeprogError(
      "DATA_INVALID",
      `expected the episodes that were written to ${path} but received others; delete the file to have it made anew`,
    );
  return episodes;
}

function toEpisode(
  row: z.output<typeof episodeSchema>,
  recordOf: ReadonlyMap<string, EditRecord>,
  place: string,
  problems: Problems,
): Episode {
  const edits = row.edits.flatMap(({ id, x_e, y_e }) => {
    const record = recordOf.get(id);
    if (record !== undefined) return [{ record, x_e, y_e }];
    problems.add(place, `\`edits\`: expected a record of the data set but received id "${id}"`);
    return [];
  });
  if (row.inScope.some(({ editIndex }) => editIndex >= row.edits.length))
    problems.add(place, "`inScope.editIndex`: expected a number below the count of edits");
  return { ...row, edits };
}
