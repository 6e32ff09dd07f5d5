/**
 * The items of parts, read ahead while earlier ones are worked on: whoever asks for more gets all that has come since, at
 * least one part. No more than `mostParts` are held; then the source waits.
 * @throws what the source throws, behind what came before
 */
export async function* gathered<Item>(
  parts: AsyncIterable<readonly Item[]>,
  mostParts: number,
): AsyncGenerator<readonly Item[]> {
  let held: (readonly Item[])[] = [];
  let end: { readonly failure?: unknown } | undefined;
  let wake: () => void = () => undefined;
  let goOn: () => void = () => undefined;
  const readAhead = async (): Promise<void> => {
    for await (const part of parts) {
      held.push(part);
      wake();
      while (held.length >= mostParts)
        await new Promise<void>((resolve) => {
          goOn = resolve;
        });
    }
  };
  const reading = readAhead().then(
    () => {
      end = {};
      wake();
    },
    (failure: unknown) => {
      end = { failure };
      wake();
    },
  );
  for (;;) {
    while (held.length === 0 && end === undefined)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    if (held.length === 0) break;
    const items = held.flat();
    held = [];
    goOn();
    yield items;
  }
  await reading;
  if (end !== undefined && "failure" in end) throw end.failure;
}
