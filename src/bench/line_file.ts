import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { finished } from "node:stream/promises";

/** JSON Lines under a temporary name until they are complete. */
export class LineFile implements AsyncDisposable {
  readonly #path: string;
  readonly #stream: ReturnType<typeof createWriteStream>;
  #failure: Error | undefined;

  private constructor(path: string) {
    this.#path = path;
    this.#stream = createWriteStream(`${path}.tmp`);
    this.#stream.on("error", (error) => {
      this.#failure = error;
    });
  }

  static async open(path: string): Promise<LineFile> {
    const file = new LineFile(path);
    await once(file.#stream, "open");
    return file;
  }

  async write(line: object): Promise<void> {
    if (this.#failure) throw this.#failure;
    if (!this.#stream.write(`${JSON.stringify(line)}\n`)) await once(this.#stream, "drain");
  }

  async complete(): Promise<void> {
    this.#stream.end();
    await finished(this.#stream);
    await rename(`${this.#path}.tmp`, this.#path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy();
    await rm(`${this.#path}.tmp`, { force: true });
  }
}
