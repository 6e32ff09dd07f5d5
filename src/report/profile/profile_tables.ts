import type { ResultTable } from "../content.js";
import { claimTable } from "./claims.js";
import { costTable, ratioTable } from "./cost_tables.js";
import type { ProfileRun } from "./profile_run.js";
import { settingsOf } from "./settings.js";

/** What a terminal shows of a profile run: Table 3 and Appendix C, their ratios, and what becomes of the claims. */
export function profileTables({ records }: Pick<ProfileRun, "records">): ResultTable[] {
  return settingsOf(records).flatMap((setting) => [
    ...setting.Ks.flatMap((K) => [costTable(setting, K), ratioTable(setting, K) ?? []].flat()),
    ...[claimTable(setting) ?? []].flat(),
  ]);
}
