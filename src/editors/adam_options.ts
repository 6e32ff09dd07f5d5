import { z } from "zod";

/** Adam's own options, the defaults PyTorch's; its learning rate belongs to the training. */
export const adamOptions = z
  .strictObject({
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.999),
    epsilon: z.number().positive().default(1e-8),
  })
  .prefault({});
