import type { PhaseSamples } from "../../profile/record.js";
import type { Parts } from "./stacked_bars.js";

/** What answering a question consists of; other phases of it are shown as answering. */
const ANSWER_STEPS = ["encode", "retrieve", "classify", "prompt", "decode"];

/** Parts of a training step and of inference, as plots of time stack and colour them: their order gives the colours. */
export const PHASE_PARTS: Parts = {
  names: [
    "forward",
    "backward",
    "edit",
    "update",
    "encode",
    "retrieve",
    "classify",
    "prompt",
    "load",
    "decode",
    "answer",
    "host",
    "rest",
  ],
  rest: "rest",
  labels: { edit: "edit or inner loop", load: "loading", answer: "answering" },
};

/** The part that a phase is shown as: its group, or its step of answering. */
export function partOf({ name, group }: Pick<PhaseSamples, "name" | "group">): string {
  const step = name.slice(name.indexOf(".") + 1);
  return group === "answer" && ANSWER_STEPS.includes(step) ? step : group;
}

/** Roles of allocations, as plots of memory stack and colour them. */
export const MEMORY_PARTS: Parts = {
  names: [
    "weights",
    "activations",
    "gradients",
    "optimizer",
    "hypergradient",
    "kvCache",
    "editMemory",
    "editor",
    "other",
    "workspace",
  ],
  rest: "other",
  labels: {
    optimizer: "optimiser",
    hypergradient: "hypergradient graph",
    kvCache: "KV cache",
    editMemory: "edit memory",
  },
};
