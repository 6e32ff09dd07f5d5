import { answerCacheFolder } from "../bench/answer_cache_folder.js";
import type { AnsweringChoice } from "../bench/job.js";

export interface AnsweringArgs {
  readonly "memory-budget"?: number | undefined;
  readonly cache: boolean;
}

/** How questions are put together and what need not be asked, as flags say. */
export function answeringChoice({
  "memory-budget": memoryBudgetBytes,
  cache,
}: AnsweringArgs): AnsweringChoice {
  return {
    ...(memoryBudgetBytes !== undefined && { memoryBudgetBytes }),
    cacheDirectory: cache ? answerCacheFolder() : null,
  };
}
