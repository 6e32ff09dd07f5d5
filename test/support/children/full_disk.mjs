// Saves into a folder on a disk that is too small. Usage: node full_disk.mjs FOLDER; prints what happened as JSON.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openEngine, pairs } from "./tiny.mjs";

const folder = process.argv[2];
const earlier = join(folder, "model.safetensors");
writeFileSync(earlier, "what was there before");

const engine = await openEngine({ threads: 1 });
// 64 KiB and more of weights.
const config = {
  model_type: "t5",
  vocab_size: 64,
  d_model: 64,
  d_kv: 32,
  d_ff: 128,
  num_layers: 2,
  num_heads: 2,
};
const model = await engine.createModel(config, { seed: 1 });
const before = await model.score(pairs);
const refusal = await model.save(folder).then(
  () => null,
  (error) => ({ code: error.code, message: error.message }),
);
const after = await model.score(pairs);
console.log(
  JSON.stringify({
    refusal,
    files: readdirSync(folder),
    earlier: readFileSync(earlier, "utf8"),
    worksAfterwards: Buffer.from(before.rowLoss.buffer).equals(Buffer.from(after.rowLoss.buffer)),
  }),
);
