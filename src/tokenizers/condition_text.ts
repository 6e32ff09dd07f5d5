import type { EditTextForm } from "./edit_text_form.js";

/** Words of a text that an answer continues: those right in front of it tell what the edit is about. */
const CONTINUED_WORDS = 64;

const lastWords = (text: string): string => text.trim().split(/\s+/).slice(-CONTINUED_WORDS).join(" ");

/**
 * How a learned optimiser reads an edit: `{what the base says} >> {y_e} || {x_e}`, cut on the right; of a text that the
 * answer continues only the end stands in it (slag.md §1, §8).
 */
export const CONDITION_TEXT: EditTextForm = {
  needsPrediction: true,
  keep: "start",
  write: ({ x_e, y_e, prediction }, _separator, answers) =>
    `${(prediction ?? "").trim()} >> ${y_e.trim()} || ${answers === "continuation" ? lastWords(x_e) : x_e}`,
};
