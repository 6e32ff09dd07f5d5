/** `0.957`. */
export const share = (value: number): string => value.toFixed(3);

/** `+0.120`, `−0.034`. */
export const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

/** `0.945 – 0.963`. */
export function interval(
  { low, high }: { readonly low: number; readonly high: number },
  format: (value: number) => string,
): string {
  return `${format(low)} – ${format(high)}`;
}
