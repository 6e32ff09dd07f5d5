import type { EditorUse } from "../editors/registry.js";
import type { EditedModel, Editor, Model } from "../native/engine.js";
import type { Subject } from "./scorers.js";

/**
 * An editor on its base model.
 * @param gate "scope": the editor decides for each question whether the edits concern it; "always": every question is
 * answered with the edits, which shows what the decision costs
 */
export function editorSubject(
  editor: Editor,
  base: Model,
  gate: "scope" | "always",
  { needsGoldEdits, leavesGatedOffAlone }: EditorUse,
  hasMemory: boolean,
): Subject<EditedModel> {
  // Without a memory there is no decision: edited weights answer every question.
  if (gate === "scope" || !hasMemory)
    return {
      base,
      needsGoldEdits,
      leavesGatedOffAlone,
      apply: (requests, options) => editor.edit(requests, base, options),
    };
  return {
    base,
    needsGoldEdits,
    leavesGatedOffAlone: false,
    async apply(requests, options = {}) {
      const { measure = false, ...call } = options;
      await using memory = await editor.createMemory(call);
      await memory.add(requests.editText, requests.labels, call);
      const model = await editor.withMemory(memory, { gate, ...call });
      if (!measure) return { model, figures: {} };
      // Applying the edits costs the same whatever the gate; only `edit` is measured as a whole.
      const gated = await editor.edit(requests, base, options);
      await gated.model.dispose();
      return { model, figures: gated.figures, ...(gated.measurement && { measurement: gated.measurement }) };
    },
  };
}
