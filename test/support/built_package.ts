// The built package, for tests that start a process or a worker of their own: those run JavaScript only.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Throws when dist/ is older than the sources that such tests use: they would test something else. */
export function requireBuiltPackage(): void {
  for (const name of readdirSync(join(repository, "src/native"))) {
    const source = join(repository, "src/native", name);
    const built = join(repository, "dist/native", name.replace(/\.ts$/, ".js"));
    if (!existsSync(built) || statSync(built).mtimeMs < statSync(source).mtimeMs) {
      throw new Error(`expected ${built} to be newer than ${source}. Run \`npm run build:ts\``);
    }
  }
}

export function childScript(name: string): string {
  return join(repository, "test/support/children", name);
}
