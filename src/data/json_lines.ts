import type { z } from "zod";
import type { Problems } from "./problems.js";
import { readLines } from "./read_lines.js";
import { describeIssues } from "./schema.js";

export interface ParsedLine<T> {
  readonly number: number;
  readonly value: T;
}

/**
 * Checked lines of a JSON Lines file, streamed. Blank lines are skipped; bad ones go to `problems` and are left out.
 * @throws SeprogError DATA_INVALID if the file cannot be read
 */
export async function* parseJsonLines<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  problems: Problems,
): AsyncGenerator<ParsedLine<z.output<Schema>>> {
  for await (const { number, text } of readLines(path)) {
    const place = `${path}:${number}`;
    if (text === undefined) {
      problems.add(place, "expected UTF-8 text but received other bytes");
      continue;
    }
    if (text.trim() === "") continue;
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (error) {
      problems.add(
        place,
        `expected one JSON object but received: ${error instanceof Error ? error.message : error}`,
      );
      continue;
    }
    const parsed = schema.safeParse(json);
    if (parsed.success) yield { number, value: parsed.data };
    else for (const issue of describeIssues(parsed.error)) problems.add(place, issue);
  }
}
