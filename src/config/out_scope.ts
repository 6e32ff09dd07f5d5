import { z } from "zod";

/** Which questions must keep their answers. */
export const outScopeSchema = z.strictObject({
  /** Share of questions close to an edit, where the edits have such; random ones fill up. */
  hardShare: z.number().min(0).max(1).default(0.5),
  /** Whether they are put in their record's own words or in any of its wordings. */
  phrasing: z.enum(["canonical", "any"]).default("any"),
});
