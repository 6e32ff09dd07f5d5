import { type EditorSpec, editText } from "../editors/registry.js";
import type { AnsweringModel } from "../tokenizers/answer_form.js";
import { EditCodec } from "../tokenizers/edit_codec.js";
import { Tokenizer } from "../tokenizers/tokenizer.js";
import { counterfactualFolder, editReaderFolder } from "./editor_spec.js";
import type { TextConfig } from "./suite.js";

/**
 * The text side of an editor on a base model with its tokenizer; other models' tokenizers keep as many texts as that.
 * Throws CONFIG_INVALID, CHECKPOINT_INVALID.
 */
export async function editorCodec(
  tokenizer: Tokenizer,
  model: AnsweringModel,
  text: TextConfig,
  editor: EditorSpec,
): Promise<EditCodec> {
  const tokenizerOf = async (folder: string | null): Promise<Tokenizer> =>
    folder === null ? tokenizer : Tokenizer.load(folder, { cachedTexts: tokenizer.cachedTexts });
  const behindEdits = counterfactualFolder(editor);
  return new EditCodec(tokenizer, model, text, {
    tokenizer: await tokenizerOf(editReaderFolder(editor)),
    form: editText(editor).form,
    ...(behindEdits !== undefined && { counterfactual: await tokenizerOf(behindEdits) }),
  });
}
