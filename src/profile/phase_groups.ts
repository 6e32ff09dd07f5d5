import type { PhaseGroup } from "./record.js";

/** Time between a call of the engine and its work there: conversion, the queue, the way back. */
export const CALL_PHASE = "host.call";
/** What the host does before the engine is called: drawing an episode and writing it as tokens. */
export const BATCH_PHASE = "host.batch";
/** What no phase claims. */
export const REST_PHASE = "rest";

/** What the core's phases of a training step do, by their own names. */
export const TRAIN_PHASES: Readonly<Record<string, PhaseGroup>> = {
  // Editing, and the inner loop.
  condition: "edit",
  edit_encode: "edit",
  edit_factors: "edit",
  editor_forward: "edit",
  inner: "edit",
  inner_steps: "edit",
  statistics: "edit",
  // Losses.
  base_encode: "forward",
  counterfactual: "forward",
  forward: "forward",
  head: "forward",
  in_scope: "forward",
  out_scope: "forward",
  outer: "forward",
  prompt_forward: "forward",
  scope: "forward",
  scope_loss: "forward",
  select: "forward",
  // Gradients.
  backward: "backward",
  editor_backward: "backward",
  hypergradient: "backward",
  update: "update",
};

/** A backward pass within a phase that works in chunks, forward and back again for each. */
const BACKWARD = "_backward";

/** @param name `<call>.<phase>`, `host.<what>` or `rest` */
export function phaseGroup(name: string): PhaseGroup {
  const [call = "", phase = ""] = name.split(".");
  switch (call) {
    case "host":
      return "host";
    case "train":
      return TRAIN_PHASES[phase] ?? backwardWithin(phase) ?? "rest";
    case "apply":
      // Fitting at edit time goes forward and back: all of it is editing.
      return "edit";
    case "answer":
      return "answer";
    default:
      return "rest";
  }
}

/** Of losses it is the gradient; of an inner loop or an edit it is part of editing. */
function backwardWithin(phase: string): PhaseGroup | undefined {
  if (!phase.endsWith(BACKWARD)) return undefined;
  const within = TRAIN_PHASES[phase.slice(0, -BACKWARD.length)];
  return within === "forward" ? "backward" : within;
}
