import { afterAll, beforeAll, expect, test } from "vitest";
import { resolveModel } from "../../src/config/paths.js";
import { type Engine, openEngine } from "../../src/native/engine.js";

const folder = resolveModel("t5-mini");
let engine: Engine;

beforeAll(async () => {
  engine = await openEngine({ threads: 1 });
});
afterAll(() => engine.close());

test("a rounded base is told from its source by its type and its checksum", async () => {
  await using wide = await engine.loadModel(folder);
  await using int8 = await engine.loadModel(folder, { dtype: "int8" });
  expect(wide.info.dtype).toBe("fp32");
  expect(int8.info).toMatchObject({ dtype: "int8", checksum: `${wide.info.checksum}-int8` });
  expect(int8.info.parameterCount).toBe(wide.info.parameterCount);
});

test("a type that the device does not compute in is refused, and so is one that is none", async () => {
  await expect(engine.loadModel(folder, { dtype: "fp16" })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  const wrong: { readonly dtype: never } = JSON.parse('{"dtype": "fp8"}');
  await expect(engine.loadModel(folder, wrong)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
});
