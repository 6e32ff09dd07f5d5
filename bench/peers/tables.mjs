// The comparisons of run.mjs. `runs`: scripts and their arguments; `row`: the rows of the table that the JSON object of one
// run makes; `drivers`: CMake targets they need.

const fixed = (value) => (value >= 10 ? value.toFixed(0) : value.toFixed(2));
const seconds = (ms) => (ms >= 1000 ? `${fixed(ms / 1000)} s` : `${fixed(ms)} ms`);
const times = (value) => `${value.toFixed(2)} ×`;
const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** «2.31 × (3.5 / 8.1 s)»: how many times faster the engine is. */
const faster = ({ native, pytorch }) =>
  `${times(pytorch / native)} (${seconds(native)} / ${seconds(pytorch)})`;
const share = ({ native, pytorch }) =>
  `${(native / pytorch).toFixed(2)} (${fixed(native)} / ${fixed(pytorch)} MiB)`;

/** Training steps: taking_turns.py. The first step of each side is not counted. */
function steps(script, rounds, cases, peerOf) {
  return {
    drivers: ["seprog_step"],
    columns: [
      "shape",
      "PyTorch",
      "faster, wall (engine / PyTorch)",
      "faster, CPU time",
      "memory the step adds, share of PyTorch's",
    ],
    runs: cases.map((args) => [script, ...args, "--rounds", rounds, "--steps", "1"]),
    row: (result) => [
      [
        result.shape,
        peerOf(result),
        faster(result.medianMs),
        faster(result.medianCpuMs),
        share(result.grownMiB),
      ],
    ],
  };
}

const product = (first, second) => first.flatMap((a) => second.map((b) => [...a, ...b]));
const shapes = (...names) => names.map((name) => ["--shape", name]);

/** How many times faster than a peer, by wall and by CPU time. */
function against({ rowsPerSecond, medianCpuMs }, ours, peer) {
  const wall = rowsPerSecond[ours] / rowsPerSecond[peer];
  return `${times(wall)} / ${times(medianCpuMs[peer] / medianCpuMs[ours])} (${rowsPerSecond[peer]})`;
}

export const TABLES = {
  generate: {
    drivers: ["seprog_generate"],
    columns: [
      "64 rows, source 24, 10 tokens",
      "engine, rows/s: fp32, int8",
      "faster than Hugging Face: wall / CPU time (its rows/s)",
      "than `torch.compile`",
      "than CTranslate2",
      "int8 than its int8",
    ],
    runs: shapes("t5-small", "bart-base", "distilgpt2").map((shape) => [
      "generate.py",
      ...shape,
      ...["--peers", "hf", "hf-compile", "ct2", "ct2-int8"],
      ...["--base-dtype", "fp32", "int8"],
    ]),
    row: (result) => [
      [
        result.shape,
        `${result.rowsPerSecond["native-fp32"]}, ${result.rowsPerSecond["native-int8"]}`,
        against(result, "native-fp32", "hf"),
        against(result, "native-fp32", "hf-compile"),
        against(result, "native-fp32", "ct2"),
        against(result, "native-int8", "ct2-int8"),
      ],
    ],
  },
  evaluate: {
    drivers: [],
    columns: [
      "1,024 CounterFact edits, t5-small's shape",
      "wall an edit",
      "CPU time an edit",
      "product faster: wall",
      "CPU time",
      "equal answers: base / edited",
    ],
    runs: [["evaluate.py"]],
    row: ({ msByEdit, speedUp, agreement }) => {
      const cells = (name) => [seconds(msByEdit[name].wallMs), seconds(msByEdit[name].cpuMs)];
      const loop = (title, name) => [
        title,
        ...cells(name),
        times(speedUp[name].wallMs),
        times(speedUp[name].cpuMs),
        `${percent(agreement[name].baseTexts)} / ${percent(agreement[name].editedTexts)}`,
      ];
      return [
        ["`seprog-native bench`", ...cells("product"), "", "", ""],
        loop("Hugging Face, one record at a time", "oneRecord"),
        loop("Hugging Face, batches of 64", "batches"),
      ];
    },
  },
  encoder: {
    drivers: [],
    columns: [
      "bert-base, 64 rows of 32 tokens",
      "sequences/s: product / Hugging Face",
      "faster: wall",
      "CPU time",
    ],
    runs: [["encoder.py"], ["encoder.py", "--compile"]],
    row: ({ compiled, sequencesPerSecond: { native, pytorch }, speedUp }) => [
      [
        compiled ? "against `torch.compile`" : "against eager",
        `${native.toFixed(1)} / ${pytorch.toFixed(1)}`,
        times(speedUp.wall),
        times(speedUp.cpu),
      ],
    ],
  },
  seprog: steps(
    "seprog_step.py",
    "3",
    product(shapes("t5-small", "bart-base", "distilgpt2"), [["--as-written"], []]),
    ({ asWritten, compiled }) =>
      asWritten ? `as Hugging Face writes it${compiled ? ", compiled" : ""}` : "trimmed by hand",
  ),
  enn: steps("enn_step.py", "2", shapes("t5-small", "bart-base"), () => "`create_graph`"),
  mend: steps("mend_step.py", "2", product(shapes("t5-small", "bart-base"), [["--keep", "512"]]), () => "one graph"),
};
