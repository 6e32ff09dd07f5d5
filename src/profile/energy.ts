import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { loadAddon } from "../native/load.js";

/** Reads how much energy was spent between two moments. */
export interface EnergyMeter {
  /** What is read: `RAPL package-0, package-1`. */
  readonly source: string;
  /** Starts to count; the result resolves to J since then, null where a counter could not be read. */
  start(): Promise<() => Promise<number | null>>;
}

/** Why there is no meter. */
export interface NoEnergyMeter {
  readonly notAvailable: string;
}

/** Of what computes: the GPU's board (NVML), or the processor packages (RAPL). */
export function openEnergyMeter(device: string): Promise<EnergyMeter | NoEnergyMeter> {
  return device === "cpu" ? openRapl() : openNvml(() => loadAddon().deviceEnergyMillijoules(device));
}

/** @param readMillijoules what the GPU has taken since its driver was loaded; null where that is not counted */
export async function openNvml(readMillijoules: () => number | null): Promise<EnergyMeter | NoEnergyMeter> {
  if (readMillijoules() === null)
    return { notAvailable: "NVIDIA's management library is missing, or the GPU does not count its energy" };
  return {
    source: "NVML",
    async start() {
      const before = readMillijoules();
      return async () => {
        const after = readMillijoules();
        return before === null || after === null ? null : (after - before) / 1e3;
      };
    },
  };
}

/** The Linux kernel's interface to running-average power limits; AMD's counters stand there too. */
const POWERCAP = "/sys/class/powercap";

interface Zone {
  readonly name: string;
  readonly folder: string;
  /** The counter begins anew after this. */
  readonly rangeUj: number;
}

/**
 * The processor packages' energy counters (RAPL). They are of the whole machine: other work on it counts as well, and the
 * graphics card does not.
 * @param root in place of the system's own folder
 */
export async function openRapl(root: string = POWERCAP): Promise<EnergyMeter | NoEnergyMeter> {
  const names: string[] = await readdir(root).catch(() => []);
  // Top zones alone: intel-rapl:0 is a package, intel-rapl:0:1 a part of it; mmio shows the same counters again.
  const packages = names.filter((name) => /^(intel|amd)-rapl:\d+$/.test(name)).sort();
  if (packages.length === 0)
    return { notAvailable: `no RAPL counters in ${root}: the processor or its virtual machine has none` };
  const zones: Zone[] = [];
  for (const name of packages) {
    const folder = join(root, name);
    const title = await readText(join(folder, "name"));
    const rangeUj = await readCounter(join(folder, "max_energy_range_uj"));
    if ((await readCounter(energyFile(folder))) === null || rangeUj === null)
      return { notAvailable: `${energyFile(folder)} cannot be read; it is often readable by root alone` };
    zones.push({ name: title ?? name, folder, rangeUj });
  }
  return {
    source: `RAPL ${zones.map(({ name }) => name).join(", ")}`,
    async start() {
      const before = await readZones(zones);
      return async () => {
        const after = await readZones(zones);
        return before && after && spentJ(zones, before, after);
      };
    },
  };
}

const energyFile = (folder: string): string => join(folder, "energy_uj");

/** A counter wraps around at most once between two readings: at 300 W that takes a quarter of an hour or more. */
function spentJ(zones: readonly Zone[], before: readonly number[], after: readonly number[]): number {
  const spentUj = zones.map(({ rangeUj }, i) => {
    const difference = (after[i] ?? 0) - (before[i] ?? 0);
    return difference < 0 ? difference + rangeUj : difference;
  });
  return spentUj.reduce((sum, uj) => sum + uj, 0) / 1e6;
}

async function readZones(zones: readonly Zone[]): Promise<number[] | null> {
  const counters = await Promise.all(zones.map(({ folder }) => readCounter(energyFile(folder))));
  const known = counters.flatMap((uj) => uj ?? []);
  return known.length === zones.length ? known : null;
}

const readText = (path: string): Promise<string | null> =>
  readFile(path, "utf8").then(
    (text) => text.trim(),
    () => null,
  );

async function readCounter(path: string): Promise<number | null> {
  const text = await readText(path);
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}
