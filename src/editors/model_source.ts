import { z } from "zod";

/** Where a part of an editor starts: from the base model, or from another model's folder or bundled name. */
export const modelSourceSchema = z.discriminatedUnion("source", [
  z.strictObject({ source: z.literal("base") }),
  z.strictObject({ source: z.literal("directory"), path: z.string().min(1) }),
]);

export type ModelSource = z.infer<typeof modelSourceSchema>;
