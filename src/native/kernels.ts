import type { KernelInfo } from "./addon.js";
import { loadAddon } from "./load.js";
import { asSeprogError } from "./translate_error.js";

/** How the ops of this process compute. @throws SeprogError CONFIG_INVALID for a word in SEPROG_KERNELS that is no policy */
export function kernelInfo(): KernelInfo {
  const addon = loadAddon();
  try {
    return addon.kernels();
  } catch (error) {
    throw asSeprogError(error);
  }
}
