import { Rng } from "../data/random.js";
import type { EditRecord, Episode } from "../data/types.js";
import type { EditRequests } from "../native/addon.js";
import type { EditCodec } from "../tokenizers/edit_codec.js";
import { editRequests } from "./scorers.js";

/** Most questions an episode's edits come with. */
const MAX_QUESTIONS = 128;

/**
 * Requests that bring out-of-scope questions along, for methods that keep the answers to some at edit time (MEND's
 * "oracle" fine-tuning): of other groups than the edits', always the same for the same edits.
 * @param records that are not asked about in the evaluation: of the train split
 */
export function requestsWithOutScope(
  records: readonly EditRecord[],
  codec: EditCodec,
): (edits: Episode) => EditRequests {
  const shuffled = Rng.fromSeed(0).shuffle([...records]);
  return (episode) => {
    const groups = new Set(episode.edits.map(({ record }) => record.group));
    const asked = shuffled.filter(({ group }) => !groups.has(group)).slice(0, MAX_QUESTIONS);
    return {
      ...editRequests(episode, codec),
      outScope: {
        source: codec.sources(asked.map(({ x_loc }) => x_loc)),
        target: codec.targets(asked.map(({ y_loc }) => y_loc[0] ?? "")),
      },
    };
  };
}
