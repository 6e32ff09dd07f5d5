export { bundledModels } from "./config/paths.js";
export { ERROR_CODES, type ErrorCode, SeprogError } from "./errors.js";
export type { Edit } from "./evaluation/plain_edits.js";
export {
  type CellResult,
  cellResultSchema,
  type EditRecordLine,
  editRecordSchema,
  type Figure,
  SUMMARY_SCHEMA_VERSION,
  type Summary,
  type SummaryCell,
  summarySchema,
} from "./evaluation/records.js";
export type { Answer, AskOptions } from "./library/answers.js";
export { BaseModel, type EditorOptions } from "./library/base_model.js";
export { loadEdits, saveEdits } from "./library/edit_file.js";
export { EditedModel } from "./library/edited_model.js";
export { Editor } from "./library/editor.js";
export { Engine, openEngine } from "./library/engine.js";
export { Memory } from "./library/memory.js";
export type { EngineOptions, MemoryRow, ModelInfo } from "./native/addon.js";
export { bundledEditors } from "./training/trained_editors.js";
