import { existsSync } from "node:fs";
import { join } from "node:path";
import { SeprogError } from "../errors.js";
import { type QuestionCell, type QuestionEpisode, toEpisode } from "../evaluation/question_file.js";
import type { Subject } from "../evaluation/scorers.js";
import { sequenceSteps } from "../evaluation/sequence.js";
import type { Engine, Model } from "../native/engine.js";

const isModel = (folder: string): boolean => existsSync(join(folder, "config.json"));

/** Folders of models after each step of an episode; one where only the last model is asked. */
export type EpisodeModels = ReadonlyMap<QuestionEpisode, readonly string[]>;

/**
 * Where the models edited elsewhere stand below `directory`: `<episode>/`, in a sequence that is asked about on the way
 * `<episode>/after-<edits>/`; of a K with one episode also `K<k>/`; of a single episode also `directory` itself.
 * @throws SeprogError CHECKPOINT_INVALID listing the folders that are missing
 */
export function findEditedModels(directory: string, cells: readonly QuestionCell[]): EpisodeModels {
  const missing: string[] = [];
  const found = new Map<QuestionEpisode, string[]>();
  const isOnly = cells.length === 1;
  for (const { K, episodes } of cells)
    for (const episode of episodes) {
      const places = [
        join(directory, episode.name),
        ...(episodes.length === 1 ? [join(directory, `K${K}`)] : []),
        ...(isOnly && episodes.length === 1 ? [directory] : []),
      ];
      const steps = stepFolders(episode);
      const place = places.find((root) => steps.every((step) => isModel(join(root, step))));
      if (place !== undefined) {
        found.set(
          episode,
          steps.map((step) => join(place, step)),
        );
        continue;
      }
      const nearest = places.find((root) => existsSync(root)) ?? places[0] ?? directory;
      missing.push(...steps.map((step) => join(nearest, step)).filter((folder) => !isModel(folder)));
    }
  if (missing.length === 0) return found;
  const listed = missing.slice(0, 5);
  const rest = missing.length > listed.length ? ` and ${missing.length - listed.length} more` : "";
  throw new SeprogError(
    "CHECKPOINT_INVALID",
    `expected model folders with config.json for \`--edited\` at ${listed.join(", ")}${rest} but there are none; docs/importing.md says where each is looked for`,
  );
}

/** Below an episode's folder: of a sequence that is asked about on the way one a step. */
function stepFolders({ K, sequential }: QuestionEpisode): string[] {
  if (sequential === undefined || sequential.schedule === "final") return [""];
  let made = 0;
  return sequenceSteps(K, sequential).map((step) => {
    made += step.length;
    return `after-${made}`;
  });
}

/** Whether models of several steps are asked, or one after all edits. */
export const isAskedOnTheWay = ({ sequential }: Pick<QuestionCell, "sequential">): boolean =>
  sequential !== undefined && sequential.schedule !== "final";

/** A subject that edits by loading the next of these folders. */
export function loadedModels(
  engine: Engine,
  base: Model,
  folders: Iterable<string>,
  onModel: (folder: string, model: Model) => Promise<void> | void,
): Subject<Model> {
  const next = folders[Symbol.iterator]();
  return {
    base,
    needsGoldEdits: false,
    leavesGatedOffAlone: false,
    async apply(_, { signal } = {}) {
      const { value: folder, done } = next.next();
      if (done) throw new SeprogError("INTERNAL", "expected a model folder for each step of each episode");
      const model = await engine.loadModel(folder, { addPadToken: true, ...(signal && { signal }) });
      try {
        refuseOther(folder, model, base);
        await onModel(folder, model);
      } catch (error) {
        await model.dispose();
        throw error;
      }
      return { model, figures: {} };
    },
  };
}

/** An edited model answers as its base does: of the same family, with the same ids. */
function refuseOther(folder: string, { info }: Model, { info: base }: Model): void {
  if (info.family === base.family && info.vocabulary === base.vocabulary && info.answers === base.answers)
    return;
  throw new SeprogError(
    "CHECKPOINT_INVALID",
    `expected an edited ${base.family} of ${base.vocabulary} ids in ${folder} but received a ${info.family} of ${info.vocabulary}; name the model that it was made from with --model`,
  );
}

/** The episodes as an evaluation takes them. */
export const episodesOf = ({ episodes }: QuestionCell) => episodes.map(toEpisode);
