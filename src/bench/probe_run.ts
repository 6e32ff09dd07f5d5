import { type Engine, openEngine } from "../native/engine.js";
import { kernelInfo } from "../native/kernels.js";
import { loadAddon } from "../native/load.js";
import type { EngineFacts } from "./environment.js";
import type { EngineChoice } from "./job.js";

/** What the engine is; fails where there is no addon, no such device or no memory for it. */
export async function probeEngine(choice: EngineChoice): Promise<EngineFacts> {
  await using engine = await openEngine(choice);
  return await engineFacts(engine);
}

/** What an open engine is. */
export async function engineFacts(engine: Engine): Promise<EngineFacts> {
  const addon = loadAddon();
  return {
    build: addon.buildInfo(),
    device: engine.device,
    deviceInfo: addon.listDevices().find(({ name }) => name === engine.device) ?? null,
    threads: engine.threads,
    matmul: await engine.matmulBackend(),
    kernels: kernelInfo().policy,
  };
}
