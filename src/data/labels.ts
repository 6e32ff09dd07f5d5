import { SeprogError } from "../errors.js";
import type { Rng } from "./random.js";
import { sameAnswer } from "./text.js";
import type { EditRecord } from "./types.js";

/** Draws before the record's own label is taken: a relation may have one answer only. */
const REDRAWS = 64;

/** Answers by relation, each as often as it occurs, for drawing plausible edit labels. */
export class LabelPool {
  readonly #answersOf = new Map<string, string[]>();

  /** @param records of one split only: a label must not bring answers of another */
  constructor(records: readonly EditRecord[]) {
    for (const { relation, y_loc } of records) {
      const answer = y_loc[0];
      if (relation === undefined || answer === undefined) continue;
      const answers = this.#answersOf.get(relation);
      if (answers === undefined) this.#answersOf.set(relation, [answer]);
      else answers.push(answer);
    }
  }

  /** A label of the record's relation that changes it; else one of the record's own. */
  draw(record: EditRecord, rng: Rng): string {
    const answers = this.#answersOf.get(record.relation ?? "") ?? [];
    for (let i = 0; i < REDRAWS && answers.length > 0; i++) {
      const answer = rng.pick(answers);
      if (isChange(record, answer)) return answer;
    }
    return drawGivenLabel(record, rng);
  }
}

/** Whether the label differs from the gold answers and from what the base model says, where that is known. */
function isChange(record: EditRecord, label: string): boolean {
  return !record.y_loc.some((gold) => sameAnswer(gold, label)) && changesPrediction(record, label);
}

function changesPrediction({ base_pred }: EditRecord, label: string): boolean {
  return base_pred === undefined || !sameAnswer(base_pred, label);
}

/**
 * Whether the edit is known by what follows from it alone: then it may ask for what the base model says of `x_e` already.
 * With rephrases those are what is asked.
 */
export const actsByConsequence = ({
  in_scope,
  entailed,
}: Pick<EditRecord, "in_scope" | "entailed">): boolean => in_scope.length === 0 && entailed.length > 0;

/** Whether one of the record's own labels is not what the base model says of `x_e`, as far as that is known. */
export function canBeChanged(record: EditRecord): boolean {
  return record.y_e_options.some((label) => changesPrediction(record, label));
}

/** Whether an edit with one of the record's own labels may change an answer of the base model. */
export function canBeEdited(record: EditRecord): boolean {
  return actsByConsequence(record) || canBeChanged(record);
}

/** One of the record's own labels that differs from what the base model says, or any if the edit acts by consequence. */
export function drawGivenLabel(record: EditRecord, rng: Rng): string {
  const labels = record.y_e_options.filter(
    (label) => actsByConsequence(record) || changesPrediction(record, label),
  );
  if (labels.length === 0)
    throw new SeprogError("INTERNAL", `expected a label that changes the prediction for record ${record.id}`);
  return rng.pick(labels);
}

/**
 * With probability `keepShare` what the base model says already, or the gold answer where that is not known (MEND's
 * fact checking asks for it with probability ½); undefined if the edit is to change something. Edits that act by
 * consequence are not asked to keep an answer: what follows from the other one is not known.
 */
export function drawKeptLabel(record: EditRecord, keepShare: number, rng: Rng): string | undefined {
  const said = record.base_pred ?? record.y_loc[0] ?? "";
  if (keepShare === 0 || said.trim() === "" || actsByConsequence(record)) return undefined;
  return rng.chance(keepShare) ? said : undefined;
}

/** Records with the base model's predictions for `x_e`; records that no label would change are left out. */
export function withBasePredictions(
  records: readonly EditRecord[],
  predictionOf: ReadonlyMap<string, string>,
): EditRecord[] {
  return records
    .map((record) => ({ ...record, base_pred: predictionOf.get(record.id) ?? record.base_pred }))
    .filter(canBeEdited);
}
