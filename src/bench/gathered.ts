/** How much is read ahead. */
export interface Room<Item> {
  readonly size: number;
  readonly sizeOf: (item: Item) => number;
}

/**
 * The items of parts, read ahead while earlier ones are worked on: whoever asks for more gets all that has come since, at
 * least one part. Once what is held fills the room, the source waits.
 * @throws what the source throws, behind what came before
 */
export async function* gathered<Item>(
  parts: AsyncIterable<readonly Item[]>,
  { size: room, sizeOf }: Room<Item>,
): AsyncGenerator<readonly Item[]> {
  let held: (readonly Item[])[] = [];
  let heldSize = 0;
  let end: { readonly failure?: unknown } | undefined;
  let wake: () => void = () => undefined;
  let goOn: () => void = () => undefined;
  const readAhead = async (): Promise<void> => {
    for await (const part of parts) {
      held.push(part);
      heldSize = part.reduce((sum, item) => sum + sizeOf(item), heldSize);
      wake();
      while (heldSize >= room)
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
    heldSize = 0;
    goOn();
    yield items;
  }
  await reading;
  if (end !== undefined && "failure" in end) throw end.failure;
}
