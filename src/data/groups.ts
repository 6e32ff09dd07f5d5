/**
 * Joins records that share any key, transitively.
 * @param keysOfRecord one list of keys a record
 * @returns one group name a record: the smallest key of its group
 */
export function mergeGroups(keysOfRecord: readonly (readonly string[])[]): string[] {
  const parent = new Map<string, string>();
  const root = (key: string): string => {
    let top = key;
    for (let up = parent.get(top); up !== undefined && up !== top; up = parent.get(top)) top = up;
    for (let at = key; at !== top; ) {
      const up = parent.get(at) ?? top;
      parent.set(at, top);
      at = up;
    }
    return top;
  };
  for (const keys of keysOfRecord) {
    const [first, ...rest] = keys;
    if (first === undefined) continue;
    for (const key of rest) {
      const a = root(first);
      const b = root(key);
      if (a < b) parent.set(b, a);
      else if (b < a) parent.set(a, b);
    }
  }
  return keysOfRecord.map(([first = ""]) => root(first));
}
