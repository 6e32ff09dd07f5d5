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
  // Only a memory can be told to answer every question.
  if (gate === "scope" || !hasMemory)
    return {
      base,
      needsGoldEdits,
      leavesGatedOffAlone,
      apply: (requests, { onto, ...call } = {}) => editor.edit(requests, onto ?? base, call),
    };
  return {
    base,
    needsGoldEdits,
    leavesGatedOffAlone: false,
    async apply(requests, options = {}) {
      const { measure = false, onto: _, ...call } = options;
      await using memory = await editor.createMemory(call);
      await memory.add(requests.editText, requests.labels, call);
      const model = await editor.withMemory(memory, { gate, ...call });
      if (!measure) return { model, figures: {} };
      // Applying the edits costs the same whatever the gate; only `edit` is measured as a whole.
      const gated = await editor.edit(requests, base, { ...call, measure });
      await gated.model.dispose();
      return { model, figures: gated.figures, ...(gated.measurement && { measurement: gated.measurement }) };
    },
  };
}
