import { readFileSync } from "node:fs";
import {
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import { SeprogError } from "../errors.js";

export type Path = readonly (string | number)[];

/** A parsed config file that still knows where each value stands. */
export interface ConfigSource {
  readonly file: string;
  readonly value: unknown;
  /** The path that messages call the value at `path` by. */
  written(path: Path): Path;
  /** `file:line` of the value at `path`, or of its nearest ancestor that is in the file. */
  locate(path: Path): string;
  /** `file:line` of the key `key` in the mapping at `path`. */
  locateKey(path: Path, key: string): string;
}

/** Throws CONFIG_INVALID when the file cannot be read or is not YAML; every syntax error is listed with its line. */
export function readConfigFile(file: string): ConfigSource {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SeprogError(
      "CONFIG_INVALID",
      `expected a readable YAML file at ${file} but received: ${reason}`,
      {
        cause: error,
      },
    );
  }
  return parseConfig(file, text);
}

/** Options that a program gives: messages say `name` in place of a file and line. */
export function givenConfig(name: string, value: unknown): ConfigSource {
  return { file: name, value, written: (path) => path, locate: () => name, locateKey: () => name };
}

/** `file` is only what messages call the text. Throws CONFIG_INVALID. */
export function parseConfig(file: string, text: string): ConfigSource {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number): string => `${file}:${lines.linePos(offset).line}`;
  if (document.errors.length > 0) {
    const list = document.errors.map((error) => `  ${lineOf(error.pos[0])}: ${error.message}`);
    throw new SeprogError("CONFIG_INVALID", `expected valid YAML but received:\n${list.join("\n")}`);
  }
  const root: Node | null = document.contents;

  const locate = (path: Path): string => {
    let node: unknown = root;
    let offset = root?.range?.[0] ?? 0;
    for (const step of path) {
      if (!isCollection(node)) break;
      const pair = isMap(node) ? findPair(node.items, String(step)) : undefined;
      node = pair ? pair.value : node.get(step, true);
      if (pair && isNode(pair.key) && pair.key.range) offset = pair.key.range[0];
      if (!isNode(node) || !node.range) break;
      if (isScalar(node) || !pair) offset = node.range[0];
    }
    return lineOf(offset);
  };
  const locateKey = (path: Path, key: string): string => {
    const node = path.length === 0 ? root : document.getIn([...path], true);
    const pair = isMap(node) ? findPair(node.items, key) : undefined;
    return pair && isNode(pair.key) && pair.key.range ? lineOf(pair.key.range[0]) : locate(path);
  };
  return { file, value: document.toJS() ?? {}, written: (path) => path, locate, locateKey };
}

function findPair(items: readonly Pair[], key: string): Pair | undefined {
  return items.find((pair) => (isScalar(pair.key) ? String(pair.key.value) : String(pair.key)) === key);
}
