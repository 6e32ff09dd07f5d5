import type { PhaseGroup } from "../../profile/record.js";
import type { Parts } from "./stacked_bars.js";

const GROUPS: readonly PhaseGroup[] = [
  "forward",
  "backward",
  "edit",
  "update",
  "answer",
  "host",
  "load",
  "rest",
];

/** Groups of phases, as plots of time stack and colour them. */
export const PHASE_PARTS: Parts = {
  names: GROUPS,
  rest: "rest",
  labels: { edit: "edit or inner loop", host: "host batch", load: "loading" },
};

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
    "workspace",
    "other",
  ],
  rest: "other",
  labels: {
    optimizer: "optimiser",
    hypergradient: "hypergradient graph",
    kvCache: "KV cache",
    editMemory: "edit memory",
  },
};
