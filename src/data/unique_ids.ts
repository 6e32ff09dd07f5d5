import type { Problems } from "./problems.js";

/** Ids of one file: a repeated one is a problem that names both lines. */
export class UniqueIds {
  readonly #path: string;
  readonly #problems: Problems;
  readonly #seen = new Map<string, { readonly line: number; readonly content: string | undefined }>();

  constructor(path: string, problems: Problems) {
    this.#path = path;
    this.#problems = problems;
  }

  /**
   * @param content given where a file may hold the same more than once: an id that returns with it is no problem
   * @returns whether the id is new
   */
  add(id: string, line: number, content?: string): boolean {
    const earlier = this.#seen.get(id);
    if (earlier === undefined) {
      this.#seen.set(id, { line, content });
      return true;
    }
    if (content === undefined || content !== earlier.content)
      this.#problems.add(
        `${this.#path}:${line}`,
        `\`id\`: expected a new id but "${id}" is also at line ${earlier.line}`,
      );
    return false;
  }
}
