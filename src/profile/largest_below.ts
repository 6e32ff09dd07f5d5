/** The largest number from 1 to below `limit` that `fits`, if peaks rise with it; null where 1 does not. */
export async function largestBelow(
  limit: number,
  fits: (n: number) => Promise<boolean>,
): Promise<number | null> {
  let [fitting, tooLarge] = [0, limit];
  while (tooLarge - fitting > 1) {
    const middle = Math.floor((fitting + tooLarge) / 2);
    if (await fits(middle)) fitting = middle;
    else tooLarge = middle;
  }
  return fitting === 0 ? null : fitting;
}
