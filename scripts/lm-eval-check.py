"""Loads what `evaluate --lm-eval DIR` wrote with lm-evaluation-harness's own code and compares it with what the harness
itself writes: `python scripts/lm-eval-check.py DIR REFERENCE`, both folders as `--output_path` makes them, the second one by
`lm_eval --output_path REFERENCE --log_samples`. Needs `pip install lm_eval`; tried with 0.4.13. Ends with 1 and says why
where something does not fit."""

import json
import math
import sys
from pathlib import Path

from datasets import load_dataset
from lm_eval.api.metrics import mean, mean_stderr
from lm_eval.utils import (
    get_file_datetime,
    get_file_task_name,
    get_latest_filename,
    get_results_filenames,
    get_sample_results_filenames,
    hash_string,
    make_table,
    sanitize_model_name,
)

# What the harness adds of a tokenizer and of groups, where there are any.
OPTIONAL = {"groups", "tokenizer_pad_token", "tokenizer_eos_token", "tokenizer_bos_token", "eot_token_id", "max_length"}


def read(root):
    """The latest results of the folder and its samples by task, found and named by the harness's functions."""
    files = [str(path) for path in Path(root).rglob("*") if path.is_file()]
    results_file = get_latest_filename(get_results_filenames(files))
    time = get_file_datetime(results_file).removesuffix(".json")
    samples = {}
    for file in get_sample_results_filenames(files):
        if get_file_datetime(file) == time and Path(file).parent == Path(results_file).parent:
            samples[get_file_task_name(Path(file).name)] = file
    return json.loads(Path(results_file).read_text()), samples, Path(results_file).parent.name


def demand(holds, what):
    if not holds:
        sys.exit(f"expected {what}")


def check(ours, reference):
    results, samples, folder = read(ours)
    theirs, their_samples, _ = read(reference)
    for name, own, other in [
        ("results", results, theirs),
        ("config", results["config"], theirs["config"]),
        *[
            (f"a task's {part}", next(iter(results[part].values())), next(iter(theirs[part].values())))
            for part in ("n-samples",)
        ],
    ]:
        difference = (set(own) ^ set(other)) - OPTIONAL
        demand(not difference, f"the same keys of {name} but {sorted(difference)} differ")
    their_config = next(iter(theirs["configs"].values()))
    for task, config in results["configs"].items():
        missing = {"task", "output_type", "doc_to_text", "doc_to_target", "metric_list", "num_fewshot"} - set(config)
        demand(not missing, f"{sorted(missing)} in the configuration of {task}")
        demand(type(config["metric_list"]) is type(their_config["metric_list"]), "a list of metrics")
    demand(sanitize_model_name(results["model_name"]) == folder, f"a folder named after {results['model_name']}")
    demand(set(samples) == set(results["results"]), "a file of samples for each task and no other")

    reference_rows = load_dataset("json", data_files=next(iter(their_samples.values())), split="train")
    fixed = set(reference_rows.column_names) - set(reference_rows[0]["metrics"])
    count = 0
    for task, file in samples.items():
        rows = load_dataset("json", data_files=file, split="train")
        demand(fixed | set(rows[0]["metrics"]) == set(rows.column_names), f"the harness's columns in {file}")
        raw = [json.loads(line) for line in Path(file).read_text().splitlines()]
        for row in raw:
            text = json.dumps(row["doc"], indent=2, ensure_ascii=False)
            demand(row["doc_hash"] == hash_string(text), f"the harness's doc_hash in {file}")
            demand(row["prompt_hash"] == hash_string(row["arguments"]["gen_args_0"]["arg_0"]), "its prompt_hash")
            demand(row["target_hash"] == hash_string(row["target"]), "its target_hash")
        hashes = "".join(row["doc_hash"] + row["prompt_hash"] + row["target_hash"] for row in raw)
        demand(results["task_hashes"][task] == hash_string(hashes), f"the harness's task hash of {task}")
        for metric in rows[0]["metrics"]:
            values, figures = rows[metric], results["results"][task]
            demand(math.isclose(mean(values), figures[f"{metric},none"], abs_tol=1e-12), f"the mean of {metric}")
            if len(values) > 1:
                close = math.isclose(mean_stderr(values), figures[f"{metric}_stderr,none"], abs_tol=1e-12)
                demand(close, f"the harness's standard error of {metric}")
        count += len(rows)
    print(make_table(results))
    print(f"{len(samples)} tasks, {count} samples: as lm-evaluation-harness writes them")


if __name__ == "__main__":
    check(*sys.argv[1:3])
