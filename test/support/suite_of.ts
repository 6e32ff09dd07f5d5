import { buildSuite } from "../../src/config/build_suite.js";
import { parseConfig } from "../../src/config/source.js";
import type { SuiteConfig } from "../../src/config/suite.js";

/** A suite as a file of this content would make it. */
export function suiteOf(content: object): SuiteConfig {
  return buildSuite(parseConfig("suite.yaml", JSON.stringify(content)));
}
