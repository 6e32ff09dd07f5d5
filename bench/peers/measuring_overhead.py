"""What measuring a training step costs: the same step of one process measured and not, taking turns.

Times are those of the process on a core, so that what else the machine does counts for little. Build the driver first, as
bench/README.md says.
"""
import json
import os
import random
import statistics
import tempfile

from taking_turns import CONFIGS, Side, arguments

SPECS = {
    "seprog": dict(kind="seprog", seed=3, promptLength=32, hiddenWidth=256),
    "mend": dict(kind="mend", seed=3),
}


def ratios(side, level, pairs, steps):
    """CPU time of measured steps over that of unmeasured ones, pair by pair; which comes first is drawn."""
    found = []
    for _ in range(pairs):
        order = ["nothing", level]
        random.shuffle(order)
        took = {name: side.ask(f"step {steps} {name}")["cpuMs"] for name in order}
        found.append(took[level] / took["nothing"])
    return found


def main():
    parser = arguments(__doc__, ["t5-mini", "t5-small"], "t5-mini", rounds=60, steps=1, threads=1)
    parser.add_argument("--editor", choices=SPECS, default="seprog")
    parser.add_argument("--level", choices=["clocks", "detail"], default="clocks")
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    random.seed(1)
    task = dict(config=CONFIGS[options.shape], spec=SPECS[options.editor], edits=options.edits, source=options.source,
                target=options.target, text=32, ragged=options.ragged, seed=1, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        json.dump(task, open(f"{folder}/task.json", "w"))
        side = Side([options.driver, folder])
        side.ask("step 2 nothing")
        found = ratios(side, options.level, options.rounds, options.steps)
        side.close()
    medians = sorted(statistics.median(random.choices(found, k=len(found))) for _ in range(2000))
    print(json.dumps(dict(
        shape=options.shape, editor=options.editor, edits=options.edits, level=options.level, pairs=len(found),
        medianRatio=round(statistics.median(found), 4), median95=[round(medians[50], 4), round(medians[-51], 4)])))


main()
