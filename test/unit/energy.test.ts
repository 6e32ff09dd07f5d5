import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type EnergyMeter, type NoEnergyMeter, openNvml, openRapl } from "../../src/profile/energy.js";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "seprog-powercap-"));
});
afterEach(() => rm(root, { recursive: true }));

async function zone(name: string, title: string, energyUj: number, rangeUj = 262_143_328_850): Promise<void> {
  await mkdir(join(root, name), { recursive: true });
  await writeFile(join(root, name, "name"), `${title}\n`);
  await writeFile(join(root, name, "max_energy_range_uj"), `${rangeUj}\n`);
  await spend(name, energyUj);
}
const spend = (name: string, energyUj: number) => writeFile(join(root, name, "energy_uj"), `${energyUj}\n`);

function available(meter: EnergyMeter | NoEnergyMeter): EnergyMeter {
  if ("notAvailable" in meter) throw new Error(meter.notAvailable);
  return meter;
}

describe("RAPL", () => {
  it("is what all packages have spent, in joules; parts of a package are in it already", async () => {
    await zone("intel-rapl:0", "package-0", 1_000_000);
    await zone("intel-rapl:0:0", "core", 400_000);
    await zone("intel-rapl:1", "package-1", 7);
    await zone("intel-rapl-mmio:0", "package-0", 1_000_000);
    const meter = available(await openRapl(root));
    expect(meter.source).toBe("RAPL package-0, package-1");
    const spent = await meter.start();
    await spend("intel-rapl:0", 3_500_000);
    await spend("intel-rapl:0:0", 900_000);
    await spend("intel-rapl:1", 500_007);
    expect(await spent()).toBe(3);
  });

  it("goes on where a counter begins anew", async () => {
    await zone("intel-rapl:0", "package-0", 9_500_000, 10_000_000);
    const spent = await available(await openRapl(root)).start();
    await spend("intel-rapl:0", 1_000_000);
    expect(await spent()).toBe(1.5);
  });

  it("has no figure where a counter is gone", async () => {
    await zone("amd-rapl:0", "package-0", 1);
    const spent = await available(await openRapl(root)).start();
    await rm(join(root, "amd-rapl:0"), { recursive: true });
    expect(await spent()).toBeNull();
  });

  it("says why there is none", async () => {
    expect(await openRapl(join(root, "nothing"))).toMatchObject({
      notAvailable: expect.stringContaining("no RAPL counters"),
    });
    await zone("intel-rapl:0", "package-0", 1);
    await rm(join(root, "intel-rapl:0", "energy_uj"));
    expect(await openRapl(root)).toMatchObject({ notAvailable: expect.stringContaining("cannot be read") });
  });
});

describe("NVML", () => {
  it("is what the board has taken between two moments", async () => {
    const readings = [0, 5000, 7250];
    const spent = await available(await openNvml(() => readings.shift() ?? null)).start();
    expect(await spent()).toBe(2.25);
  });

  it("says that there is none", async () => {
    expect(await openNvml(() => null)).toHaveProperty("notAvailable");
  });
});
