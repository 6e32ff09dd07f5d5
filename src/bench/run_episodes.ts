import { readEpisodeFile, writeEpisodeFile } from "../data/episode_file.js";
import type { EditRecord, Episode } from "../data/types.js";

export interface RunEpisodes {
  /** The run's episode file of one data set and K. */
  readonly path: string;
  /** Of everything the episodes are drawn from: a file of another identity is replaced. */
  readonly identity: string;
  /** Records that the edits may be of. */
  readonly records: readonly EditRecord[];
  readonly draw: () => Promise<readonly Episode[]>;
}

/**
 * The episodes that all methods and seeds of a run are measured on: drawn and written by the first cell of a data set
 * and K, read by the others.
 * @throws SeprogError DATA_INVALID if the file was changed
 */
export async function runEpisodes({
  path,
  identity,
  records,
  draw,
}: RunEpisodes): Promise<readonly Episode[]> {
  const known = await readEpisodeFile(path, identity, records);
  if (known !== undefined) return known;
  const episodes = await draw();
  if (episodes.length > 0) await writeEpisodeFile(path, identity, episodes);
  return episodes;
}
