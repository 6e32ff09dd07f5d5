/**
 * Results in the order of the items, each as soon as it and those before it are done. Up to `atOnce` items are worked on
 * while the next is awaited; no item is taken before there is room, so a slow reader of the results holds back the source.
 * @throws what the source or the work throws
 */
export async function* overlapped<Item, Result>(
  items: AsyncIterable<Item>,
  work: (item: Item) => Promise<Result>,
  atOnce: number,
): AsyncGenerator<Result> {
  const source = items[Symbol.asyncIterator]();
  const running: Promise<Result>[] = [];
  let next: Promise<IteratorResult<Item>> | undefined;
  let isDone = false;
  try {
    while (!isDone || running.length > 0) {
      if (!isDone && running.length < atOnce) next ??= taken(source.next());
      const [oldest] = running;
      const first = await Promise.race([
        ...(next && running.length < atOnce ? [next.then((item) => ({ item }))] : []),
        ...(oldest ? [oldest.then((result) => ({ result }))] : []),
      ]);
      if ("result" in first) {
        running.shift();
        yield first.result;
        continue;
      }
      next = undefined;
      if (first.item.done) isDone = true;
      else running.push(taken(work(first.item.value)));
    }
  } finally {
    // Not awaited: a source that waits for its next item ends only when that comes.
    if (source.return) taken(source.return());
  }
}

/** Its failure shows when it is awaited, not before. */
function taken<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => undefined);
  return promise;
}
