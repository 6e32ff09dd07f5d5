import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { SeprogError } from "../errors.js";
import type { Dataset } from "./types.js";

/** Texts to ids and back, as data sets that are cut by tokens need it; `Tokenizer` has this form. */
export interface TokenCodec {
  encode(text: string, options: { readonly specialTokens: "none" }): Int32Array;
  decode(ids: Iterable<number>): string;
}

/** What a data set may need beside its files. */
export interface LoadContext {
  /** Tokenizer of the base model. */
  readonly tokenizer?: TokenCodec;
}

/** One published form of a data set: what its files are called and how they become records. */
export interface OfficialForm<Role extends string = string> {
  /** Who released it in this form. */
  readonly title: string;
  /** Role of each file → the names it goes by, the usual one first. */
  readonly files: Readonly<Record<Role, readonly string[]>>;
  load(paths: Readonly<Record<Role, string>>, context: LoadContext): Promise<Dataset>;
}

/** Forms of different roles in one list; the roles of a form's files are checked here. */
export const officialForm = <Role extends string>(form: OfficialForm<Role>): OfficialForm => form;

export interface OfficialFiles {
  readonly form: OfficialForm;
  readonly paths: Readonly<Record<string, string>>;
}

const expected = ({ title, files }: OfficialForm): string =>
  `  ${title}: ${Object.values(files)
    .map((names) => names.join(" or "))
    .join(", ")}`;

/**
 * The first form all of whose files stand in the folder.
 * @throws SeprogError DATA_INVALID naming the files of every form if none is complete
 */
export async function findOfficialFiles(
  dataset: string,
  forms: readonly OfficialForm[],
  directory: string,
): Promise<OfficialFiles> {
  const present = new Set(
    await readdir(directory).catch((cause: unknown): never => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SeprogError(
        "DATA_INVALID",
        `expected a folder with the files of ${dataset} at ${directory} but received: ${reason}`,
        { cause },
      );
    }),
  );
  for (const form of forms) {
    const found = Object.entries(form.files).flatMap(([role, names]) => {
      const name = names.find((candidate) => present.has(candidate));
      return name === undefined ? [] : [[role, join(directory, name)] as const];
    });
    if (found.length === Object.keys(form.files).length) return { form, paths: Object.fromEntries(found) };
  }
  const near = forms.flatMap(({ files }) => Object.values(files).flat()).filter((name) => present.has(name));
  throw new SeprogError(
    "DATA_INVALID",
    [
      `expected in ${directory} all files of one form of ${dataset}:`,
      ...forms.map(expected),
      `but received ${near.length === 0 ? "none of them" : `only ${near.join(", ")}`}; put the missing ones there, unpacked and under these names`,
    ].join("\n"),
  );
}
