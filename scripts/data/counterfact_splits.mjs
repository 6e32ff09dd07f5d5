import { splitByGroup } from "../../dist/data/splits.js";
import { groupKey } from "../../dist/data/text.js";

/** Shares of the facts; the rest is train. */
const SHARES = { test: 0.15, validation: 0.05 };

/** Where a neighbourhood subject occurs in several splits, the earlier one here keeps it. */
const PRECEDENCE = ["test", "validation", "train"];

/** Gives every fact the split of its subject. */
export function assignSplits(facts) {
  const groups = facts.map((fact) => groupKey(fact.subject));
  const splitOf = splitByGroup(groups, SHARES);
  return facts.map((fact, i) => ({ ...fact, split: splitOf.get(groups[i]) }));
}

/**
 * Takes away neighbourhood prompts whose subject belongs to another split: as a subject of edits there, or as a
 * neighbour there that comes first in precedence. Otherwise an editor would be trained on inputs it is tested on.
 * @returns {number} how many were taken away
 */
export function separateNeighbours(facts) {
  const ownerOf = new Map();
  for (const fact of facts) ownerOf.set(groupKey(fact.subject), fact.split);
  for (const split of PRECEDENCE)
    for (const fact of facts) {
      if (fact.split !== split || !fact.locality) continue;
      const group = groupKey(fact.locality.subject);
      if (!ownerOf.has(group)) ownerOf.set(group, split);
    }
  let removed = 0;
  for (const fact of facts) {
    if (!fact.locality || ownerOf.get(groupKey(fact.locality.subject)) === fact.split) continue;
    delete fact.locality;
    removed += 1;
  }
  return removed;
}
