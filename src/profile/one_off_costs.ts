import type { Engine } from "../native/engine.js";
import type { OneOffCost } from "./record.js";

/** What is paid once, as it is paid. */
export class OneOffCosts {
  readonly #engine: Pick<Engine, "memoryStats">;
  readonly #list: OneOffCost[] = [];

  constructor(engine: Pick<Engine, "memoryStats">) {
    this.#engine = engine;
  }

  get list(): readonly OneOffCost[] {
    return this.#list;
  }

  add(cost: OneOffCost): void {
    this.#list.push(cost);
  }

  /** Wall time from call to result and the highest allocated on the way. */
  async measure<T>(name: string, work: () => Promise<T>): Promise<T> {
    await this.#engine.memoryStats({ resetPeak: true });
    const startedMs = performance.now();
    const result = await work();
    const wallMs = performance.now() - startedMs;
    const { peakBytes } = await this.#engine.memoryStats();
    this.add({ name, wallMs, peakBytes, source: "measured" });
    return result;
  }
}
