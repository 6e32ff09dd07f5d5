import { SeprogError } from "../errors.js";

/** More problems than this are counted, not listed. */
const LISTED = 20;

/** Collects what is wrong with a data file, so that all of it is reported at once. */
export class Problems {
  readonly #listed: string[] = [];
  #count = 0;

  /** @param place `file:line`, or `file: record n` where lines mean nothing */
  add(place: string, message: string): void {
    this.#count += 1;
    if (this.#listed.length < LISTED) this.#listed.push(`${place}: ${message}`);
  }

  /** @throws SeprogError DATA_INVALID listing every problem, if there is any */
  throwIfAny(what: string): void {
    if (this.#count === 0) return;
    const rest = this.#count - this.#listed.length;
    const lines = rest > 0 ? [...this.#listed, `… and ${rest} more`] : this.#listed;
    throw new SeprogError(
      "DATA_INVALID",
      `${what} has ${this.#count} problem${this.#count === 1 ? "" : "s"}:\n  ${lines.join("\n  ")}`,
    );
  }
}
