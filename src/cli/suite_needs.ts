import { type Requirement, suiteRequirements } from "../bench/requirements.js";
import { type SuiteArgs, suiteFromArgs } from "./suite_args.js";

/** What a suite cannot run without, and what of it is missing. Throws CONFIG_INVALID for a bad suite. */
export function suiteNeeds(args: SuiteArgs): Promise<Requirement[]> {
  return suiteRequirements(suiteFromArgs(args));
}
