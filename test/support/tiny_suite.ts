import { writeFile } from "node:fs/promises";
import { stringify } from "yaml";
import { TinyWorld } from "./tiny_world.js";

/**
 * A tiny world with a base model in `model` and a suite in `suite.yaml`, named tiny and asked on the world's own records.
 * @param rest of the suite: K, methods and what else is other than by default
 */
export async function tinySuiteWorld(rest: (world: TinyWorld) => object): Promise<TinyWorld> {
  const world = await TinyWorld.create();
  await world.pretrain("model");
  const suite = { name: "tiny", model: world.path("model"), datasets: [world.dataFile], ...rest(world) };
  await writeFile(world.path("suite.yaml"), stringify(suite));
  return world;
}
