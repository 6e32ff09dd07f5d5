import { defineConfig } from "vitest/config";

// One project a tier. Only unit tests may run without the addon. The other tiers load libtorch, so each file gets a
// process of its own: a native crash costs one file, and memory goes back to the system.
function tier(name: string, testTimeout: number) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      pool: "forks" as const,
      isolate: true,
      testTimeout,
      hookTimeout: testTimeout,
    },
  };
}

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [tier("unit", 30_000), tier("seam", 120_000), tier("golden", 300_000), tier("e2e", 600_000)],
  },
});
