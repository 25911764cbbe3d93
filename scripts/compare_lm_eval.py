"""Compare the letter picks of a finished run with those of lm-eval.

    python scripts/compare_lm_eval.py RUN --python /path/to/env/with/lm-eval/bin/python

RUN is a run with letter scoring and a local model in float32. lm-eval needs its own environment
(`pip install lm-eval`), because it pins other versions. lm-eval gets the same prompts and the same
model. For each task and arm the script prints the number of items, the number of equal picks, the
largest difference between log-likelihoods relative to the item's first letter, and both times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.spec import ModelSpec
from ragbench.runfolder.passages import read_prompts
from ragbench.runfolder.paths import RunPaths, find_run
from ragbench.runfolder.questions import read_questions
from ragbench.runfolder.records import read_records
from ragbench.runfolder.runfile import read_run_file
from ragbench.runfolder.schema import to_json
from ragbench.tasks.replies.answers import letters

TASK = """\
task: ragbench_letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{prompt}}}}"
doc_to_choice: "{{{{letters}}}}"
doc_to_target: "{{{{answer}}}}"
target_delimiter: "{delimiter}"
metric_list: [{{metric: acc}}]
"""


def items(folder: RunPaths, model: str, task: str, arm: str) -> list[dict[str, Any]]:
    """Return a cell's rendered prompts with our log-likelihoods."""
    prompts = read_prompts(folder.prompts)
    questions = {question.id: question for question in read_questions(folder.questions(task))}
    return [
        {
            "id": record.question_id,
            "prompt": prompts[record.prompt],
            "letters": list(letters(len(questions[record.question_id].options))),
            "answer": questions[record.question_id].answer,
            "ours": record.log_likelihoods,
            "elapsed_s": record.elapsed_s,
        }
        for record in read_records(folder.records(model, task, arm))
    ]


def lm_eval(python: str, source: str, docs: list[dict[str, Any]], delimiter: str) -> list[Any]:
    """Return lm-eval's log-likelihoods of each item, in the order of the items."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        file = work / "items.jsonl"
        file.write_text("".join(json.dumps(doc) + "\n" for doc in docs), encoding="utf-8")
        task = TASK.format(file=file, delimiter=delimiter)
        (work / "ragbench_letters.yaml").write_text(task, encoding="utf-8")
        command = [python, "-m", "lm_eval", "run", "--model", "hf", "--tasks", "ragbench_letters"]
        command += ["--model_args", f"pretrained={source},dtype=float32"]
        command += ["--include_path", name, "--device", "cpu", "--batch_size", "1"]
        command += ["--output_path", str(work / "out"), "--log_samples"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        (samples,) = (work / "out").rglob("samples_*.jsonl")
        lines = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
        lines.sort(key=lambda line: line["doc_id"])
        return [[float(answer[0]) for answer in line["filtered_resps"]] for line in lines]


def main() -> None:
    """Read the run, call lm-eval and print the agreement."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--python", required=True, help="Python with lm-eval")
    arguments = parser.parse_args()
    folder = find_run(arguments.run)
    about = read_run_file(folder.run)
    for entry in to_json(about.config)["models"]:
        model = HfModel(ModelSpec.model_validate(entry))
        for task, facts in about.identity.tasks.items():
            for arm in facts.arms if facts.scoring == "letters" else ():
                docs = items(folder, entry["name"], task, arm)
                started = time.perf_counter()
                theirs = lm_eval(
                    arguments.python, model._source, docs, "" if model.is_chat else " "
                )
                elapsed = time.perf_counter() - started
                print(json.dumps(agreement(entry["name"], task, arm, docs, theirs, elapsed)))


def agreement(
    model: str, task: str, arm: str, docs: list[dict[str, Any]], theirs: list[Any], elapsed: float
) -> dict[str, Any]:
    """Return the agreement; only differences within an item affect its pick."""
    same, largest = 0, 0.0
    for doc, other in zip(docs, theirs, strict=True):
        ours = doc["ours"]
        same += pick_option(ours, doc["letters"])[0] == pick_option(other, doc["letters"])[0]
        shifts = [(a - ours[0]) - (b - other[0]) for a, b in zip(ours, other, strict=True)]
        largest = max([largest, *map(abs, shifts)])
    return {
        **{"model": model, "task": task, "arm": arm, "items": len(docs), "equal_picks": same},
        "largest_difference": round(largest, 6),
        "ours_s": round(sum(doc["elapsed_s"] for doc in docs), 1),
        "lm_eval_s_with_start": round(elapsed, 1),
    }


if __name__ == "__main__":
    main()
