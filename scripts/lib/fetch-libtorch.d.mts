import type { Libtorch } from "./libtorch.d.mts";

export declare function fetchObstacles(env?: NodeJS.ProcessEnv): string[];
export declare function fetchTarget(options: { readonly packageRoot: string; readonly env?: NodeJS.ProcessEnv }): string;
export declare function fetchLibtorch(options: {
  readonly target: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly log?: (line: string) => void;
}): Promise<void>;
export declare function findOrFetchLibtorch(options: {
  readonly packageRoot: string;
  readonly forceFetch?: boolean;
  readonly log?: (line: string) => void;
}): Promise<Libtorch>;
