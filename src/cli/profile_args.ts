import { didYouMean } from "../config/suggest.js";
import type { SuiteConfig } from "../config/suite.js";
import { SeprogError } from "../errors.js";
import type { BaseDtype } from "../models/base_dtype.js";
import type { TokensEach } from "../profile/even_lengths.js";
import { isShape, type ShapeName, shapeNames } from "../profile/shapes.js";
import { type SuiteArgs, suiteFromArgs } from "./suite_args.js";

/** The paper's costs are of zsRE (Table 3). */
const DEFAULT_DATASET = "zsre";

export interface ProfileArgs extends Omit<SuiteArgs, "k" | "microBatch" | "baseDtype"> {
  readonly shapes?: readonly string[] | undefined;
  readonly "source-tokens": number;
  readonly "target-tokens": number;
  readonly "edit-tokens": number;
  readonly "micro-batch"?: number | undefined;
  readonly "base-dtype"?: BaseDtype | undefined;
}

/** What is profiled: the suite, or its methods on shapes. K is none of the suite's. */
export interface ProfiledSuite {
  readonly suite: SuiteConfig;
  /** Of rows of random ids. */
  readonly tokens: TokensEach;
  /** In place of the suite's models. */
  readonly shapes: readonly ShapeName[] | undefined;
}

/** @throws SeprogError CONFIG_INVALID for a bad suite, an unknown method, data set or shape */
export function profileSuiteOf(args: ProfileArgs): ProfiledSuite {
  const { suite: name, set, data, models, seed, methods, datasets } = args;
  const whole = suiteFromArgs({
    suite: name,
    set,
    data,
    models,
    seed,
    methods,
    datasets,
    microBatch: args["micro-batch"],
    baseDtype: args["base-dtype"],
  });
  const usual = whole.datasets.filter((dataset) => dataset.name === DEFAULT_DATASET);
  const chosen = datasets ? whole.datasets : usual.length > 0 ? usual : whole.datasets.slice(0, 1);
  const suite = { ...whole, datasets: chosen };
  const tokens = {
    source: args["source-tokens"],
    target: args["target-tokens"],
    edit: args["edit-tokens"],
  };
  return { suite, tokens, shapes: args.shapes?.map(shapeOf) };
}

function shapeOf(name: string): ShapeName {
  if (isShape(name)) return name;
  throw new SeprogError(
    "CONFIG_INVALID",
    `expected some of ${shapeNames.join(", ")} for \`--shapes\` but received "${name}"${didYouMean(name, shapeNames)}`,
  );
}
