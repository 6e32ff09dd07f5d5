/** The program's first file: libtorch is opened while the rest of the program is still being read. */

/** Commands that compute in this very process. */
const COMPUTING: readonly string[] = ["ask", "edit", "train", "pretrain"];

const [command = "", ...rest] = process.argv.slice(2);
if (COMPUTING.includes(command) && !rest.some((word) => word === "--help" || word === "-h")) {
  const { startLoading } = await import("../bench/warm_up.js");
  startLoading();
}
await import("./main.js");
