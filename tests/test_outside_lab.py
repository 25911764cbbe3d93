"""The package in tests/data/outside_lab: one part of each kind, from the card to the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import DataError, UsageError
from ragbench.cli.main import cli
from ragbench.corpora.readers import readers
from ragbench.experiment.config.config import load_config
from ragbench.experiment.importing.imported import (
    ImportedAnswer,
    ImportedArm,
    ImportedRun,
    ImportedTask,
    write_run,
)
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.score import score_run
from ragbench.indexes.loading import load_recipe
from ragbench.models import models
from ragbench.models.model import Model
from ragbench.models.spec import ModelSpec, make_model
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records
from ragbench.tasks import tasks
from tests.conftest import OUTSIDE_LAB
from tests.conftest import ragbench as started

if TYPE_CHECKING:  # mypy checks that each part keeps its protocol
    from outside_lab import backend, index, local, metric, reader, reply, task

    from ragbench.corpora.reader import PerFile
    from ragbench.indexes.retriever import IndexKind
    from ragbench.metrics.metric import Metric
    from ragbench.models.spec import Backend
    from ragbench.tasks.replies.reader import ReplyReader
    from ragbench.tasks.task import Task

    PER_FILE: type[PerFile] = reader.NotesReader
    KIND: type[IndexKind] = index.SharedIndex
    MODEL: type[Model] = backend.LabModel
    BACKEND: type[Backend] = local.LocalLab
    TASK: type[Task] = task.PainTask
    READ: ReplyReader = reply.read_grade
    METRIC: Metric = metric.closeness

pytestmark = pytest.mark.usefixtures("outside_lab")
NOTES = """\
# n1: Adams
Adams has severe pain since noon.

# n2: Baker
Baker sleeps well: pain none at rest, none on the stairs.

# n3: Clark
Clark has mild pain today.
# n4: Davis
Davis has moderate pain today.
# n5: Evans

# n6: Rota
The ward round starts at noon.
"""
GRADES = {"Adams": "severe", "Baker": "none", "Clark": "mild", "Davis": "moderate", "Evans": "none"}
CONFIG = """\
name: pain
seed: 1
indexes: {shared: {recipe: shared, corpus: ward}, both: {recipe: both, corpus: ward}}
models:
  - {name: lab, backend: lab-local, unsure: 1}
tasks:
  - {name: pain, options: {path: pain.jsonl}}
arms:
  - closed-book
  - {retriever: shared, k: 1}
  - {retriever: both, k: 1}
"""
# The scale has three steps. Closed-book, every grade is 1: the distances are 2, 1, 0, 1 and 1.
CLOSED_BOOK = {"Adams": 1 / 3, "Baker": 2 / 3, "Clark": 1, "Davis": 2 / 3, "Evans": 2 / 3}
# Each patient's own note shares two words with the query, and is the first. Evans has none, and
# gets that of Adams, the first of those that share "pain": the distance is 3.
SHARED_1 = {"Adams": 1, "Baker": 1, "Clark": 1, "Davis": 1, "Evans": 0}


@pytest.fixture
def ward(home: Path) -> Path:
    """A home with the notes, the recipes, the grades and the config; nothing is built."""
    for folder in ("corpora", "indexes"):
        (home / folder).mkdir()
    rows = [{"patient": name, "grade": grade} for name, grade in GRADES.items()]
    for row, gold in zip(rows, ("n1", "n2", "n3", "n4"), strict=False):
        row["gold_doc_ids"] = [gold]  # type: ignore[assignment]
    files = {
        "ward.notes": NOTES,
        "corpora/ward.yaml": "reader: ward-notes\npath: ../ward.notes\nlicence: CC0\n",
        "indexes/shared.yaml": "kind: shared-words\nmin_length: 4\n",
        "indexes/both.yaml": "kind: hybrid\nparts: [shared, bm25]\n",
        "pain.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "pain.yaml": CONFIG,
    }
    for name, text in files.items():
        (home / name).write_text(text, encoding="utf-8")
    return home


def ragbench(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def line_of(file: str, text: str) -> str:
    """Return FILE:LINE of the one line of the package that begins with a text."""
    path = OUTSIDE_LAB / "outside_lab" / file
    lines = path.read_text(encoding="utf-8").splitlines()
    (number,) = [n for n, line in enumerate(lines, 1) if line.startswith(text)]
    return f"{path}:{number}"


def test_every_file_is_short() -> None:
    files = sorted((OUTSIDE_LAB / "outside_lab").glob("*.py"))
    assert len(files) == 8
    for path in files:
        assert len(path.read_text(encoding="utf-8").splitlines()) < 64, path


@pytest.mark.parametrize(
    ("what", "name", "file", "line"),
    [
        ("readers", "ward-notes", "reader.py", "class NotesReader"),
        ("retrievers", "shared-words", "index.py", "class SharedIndex"),
        ("backends", "lab", "backend.py", "class LabModel"),
        ("backends", "lab-local", "local.py", "class LocalLab"),
        ("tasks", "pain", "task.py", "class PainTask"),
        ("reply-readers", "grade", "reply.py", "def read_grade"),
        ("metrics", "closeness", "metric.py", "def closeness"),
    ],
)
def test_lists_show_where_each_part_is(
    home: Path, what: str, name: str, file: str, line: str
) -> None:
    listed = json.loads(ragbench("list", what, "--where", "--json"))
    (row,) = [row for row in listed if row["name"] == name]
    assert row["where"] == line_of(file, line)
    assert row["summary"] == "from outside-lab"


def test_the_reader_gives_a_corpus(ward: Path) -> None:
    built = ragbench("corpus", "build", "ward")
    assert "ward: 5 passages" in built
    shown = ragbench("corpus", "show", "ward", "--sample", "5")
    assert "n1  Adams\nAdams has severe pain since noon.\n" in shown
    manifest = json.loads((ward / "corpora" / "ward" / "manifest.json").read_text())
    assert manifest["skipped"] == {"no text": 1}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\nAdams has pain.\n# n1: Adams\nPain.\n", "does not begin with a note"),
        (b"\n", "does not begin with a note"),
        (b"# n1: Adams\n\xff\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_file_of_notes_is_refused(tmp_path: Path, data: bytes, what: str) -> None:
    kind = readers.get("ward-notes")
    (tmp_path / "odd.notes").write_bytes(data)
    with pytest.raises(DataError, match=what) as caught:
        list(kind(tmp_path, kind.Options()).read())
    assert caught.value.where == str(tmp_path / "odd.notes")


def test_the_reader_names_the_place_of_each_note(ward: Path) -> None:
    kind = readers.get("ward-notes")
    found = list(kind(ward, kind.Options()).read())
    assert [entry.where for entry in found] == [
        f"{ward / 'ward.notes'}:{n}" for n in (1, 4, 7, 9, 11, 13)
    ]
    assert [type(entry).__name__ for entry in found] == [*["Located"] * 4, "Skipped", "Located"]


def test_every_command_takes_the_index(ward: Path) -> None:
    ragbench("corpus", "build", "ward")
    (size,) = json.loads(ragbench("index", "estimate", "shared", "--corpus", "ward", "--json"))
    texts = [text.strip() for text in NOTES.split("# n")]
    characters = sum(len("\n".join(text.splitlines()[1:])) for text in texts)
    assert (size["name"], size["what"], size["disk"]) == ("shared", "shared words", characters)
    assert "shared-ward: 5 passages" in ragbench("index", "build", "shared", "--corpus", "ward")
    # Words of four letters or more; "noon." with its full stop is another word than "noon".
    expected = {
        "severe pain since noon": [("n1", 3.0), ("n2", 1.0), ("n3", 1.0), ("n4", 1.0)],
        "ROUND at noon with Clark": [("n3", 1.0), ("n6", 1.0)],
        "at no one": [],
    }
    for query, hits in expected.items():
        found = json.loads(ragbench("index", "search", "shared-ward", query, "-k", "4", "--json"))
        assert [(hit["id"], hit["score"]) for hit in found] == hits
    checked = json.loads(ragbench("index", "check", "shared-ward", "--json"))
    assert all(finding["is_ok"] for finding in checked["findings"])
    assert load_recipe("shared").hub_models() == {}


def test_the_index_is_a_part_of_a_hybrid(ward: Path) -> None:
    ragbench("corpus", "build", "ward")
    built = ragbench("index", "build", "both", "--corpus", "ward")
    assert built.endswith(", searches shared-ward, bm25-ward\n")
    manifest = json.loads(ragbench("index", "show", "both-ward", "--json"))
    assert [part["name"] for part in manifest["parts"]] == ["shared-ward", "bm25-ward"]
    checked = json.loads(ragbench("index", "check", "both-ward", "--json"))
    assert "shared-ward: digest" in {finding["what"] for finding in checked["findings"]}
    (hit,) = json.loads(ragbench("index", "search", "both-ward", "Clark", "-k", "1", "--json"))
    assert hit["id"] == "n3"


@pytest.mark.parametrize("in_process", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_config_runs_to_its_report(ward: Path, in_process: bool) -> None:
    ragbench("corpus", "build", "ward")  # and the run builds the indexes
    if in_process:
        ragbench("run", str(ward / "pain.yaml"))
    else:
        done = started(ward, "run", "pain.yaml")
        assert done.returncode == 0, done.stderr
    folder = RunPaths(ward / "runs" / "pain")
    found = pd.read_parquet(folder.scores("correct"))
    for arm, expected in (("closed-book", CLOSED_BOOK), ("shared-1", SHARED_1)):
        cell = found[found.arm == arm].set_index("question_id")
        assert cell.closeness.to_dict() == pytest.approx(expected)
        assert set(cell.rule) == {"grade"}
    means = {"closed-book": (2 / 3, 1 / 5), "shared-1": (4 / 5, 4 / 5)}
    with (folder.path / "results.csv").open(encoding="utf-8") as file:
        rows = {(row["arm"], row["metric"]): row for row in csv.DictReader(file)}
    for arm, (close, right) in means.items():
        assert float(rows[arm, "closeness"]["value"]) == pytest.approx(close, abs=1e-6)
        assert float(rows[arm, "accuracy"]["value"]) == pytest.approx(right, abs=1e-6)
    assert (folder.path / "report.html").is_file()


def test_the_reader_and_the_metric_take_every_outcome(ward: Path) -> None:
    kind = tasks.get("pain")
    task = kind(kind.Options.model_validate({"path": "pain.jsonl"}))
    replies = {
        "Adams": ImportedAnswer(reply="Grade: 3", finish="stop"),
        "Baker": ImportedAnswer(reply="Grade: 1, or rather Grade: 2", finish="stop"),
        "Clark": ImportedAnswer(reply="It hurts a lot.", finish="stop"),
        "Davis": ImportedAnswer(reply="Grade: 30", finish="length"),
    }  # and no record of Evans
    info = task.info
    questions = task.questions(limit=None, seed=1)
    asked = ImportedTask(
        "pain", questions, scoring=info.scoring, reader=info.reads, metrics=info.metrics
    )
    run = ImportedRun(
        name="pain",
        mode="correct",
        sources={},
        tasks=[asked],
        arms=[ImportedArm("closed-book")],
        models=["m"],
        answers={("m", "pain", "closed-book"): replies},
    )
    folder = RunPaths(write_run(run))
    folder.scores("correct").unlink()
    assert score_run(folder) == 1
    found = pd.read_parquet(folder.scores("correct")).set_index("question_id")
    outcomes = ["parsed", "parsed", "unparsed", "truncated", "error"]
    assert found.outcome.to_dict() == dict(zip(GRADES, outcomes, strict=True))
    assert found.pick[:2].tolist() == [3, 2]
    assert found.rule[:2].tolist() == ["grade", "grade"]
    # Adams is right; Baker gets 2 where 0 is right, on a scale of 3 steps: 1 - 2 / 3.
    assert found.closeness[:4].tolist() == pytest.approx([1, 1 / 3, 0, 0])
    assert found.accuracy[:4].tolist() == [1, 0, 0, 0]
    assert found.closeness.isna().tolist() == [False] * 4 + [True]


def config(ward: Path, model: str, *, use: str = "open") -> Path:
    """Write a config of one closed-book cell with a model's keys."""
    path = ward / "lab.yaml"
    path.write_text(
        f"name: lab\nmodels:\n  - {{name: m, {model}}}\ntasks:\n"
        f"  - {{name: pain, options: {{path: pain.jsonl, data_use: {use}}}}}\n"
        "arms: [closed-book]\n",
        encoding="utf-8",
    )
    return path


def test_the_backend_has_a_key_of_its_own(ward: Path) -> None:
    loaded, _ = load_config(str(config(ward, "backend: lab, unsure: 3")))
    (spec,) = loaded.models
    assert spec.model_dump(mode="json")["unsure"] == 3
    assert ModelSpec.model_validate(spec.model_dump(mode="json")) == spec
    assert make_model(spec).generate("How bad is it?", limit=8).text == "Grade: 3"
    scores = make_model(spec).score_options("It is mild.", ["0", "1", "2"])
    assert scores.log_likelihoods == (-2.0, -1.0, -2.0)


@pytest.mark.parametrize(
    ("keys", "key", "what", "fix"),
    [
        ("backend: lab, unshure: 1", "unshure", "`lab` has no key 'unshure'", "mean 'unsure'"),
        ("backend: lab, url: x", "url", "`lab` has no key 'url'", "known: backend, base, format"),
        ("backend: lav", "backend", "there is no 'lav' among the backends", "mean 'lab'"),
        ("backend: lab, unsure: 4", "unsure", "takes a number below 4", ""),
        (
            "backend: lab, unsure: many",
            "unsure",
            r'`unsure` takes a whole number; it is "many"',
            "",
        ),
    ],
)
def test_a_wrong_key_or_value_is_refused_with_its_line(
    ward: Path, keys: str, key: str, what: str, fix: str
) -> None:
    path = config(ward, keys)
    with pytest.raises(UsageError, match=what) as caught:
        load_config(str(path))
    assert fix in caught.value.fix
    assert caught.value.where == f"{path}:3 (models.0.{key})"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models of the package that are made."""
    names: list[str] = []
    kind: Any = models.get("lab")
    start = kind.__init__

    def count(self: Model, spec: ModelSpec) -> None:
        names.append(spec.name)
        start(self, spec)

    monkeypatch.setattr(kind, "__init__", count)
    return names


def test_a_restricted_task_refuses_a_backend_that_does_not_say_where_it_sends(
    ward: Path, made: list[str]
) -> None:
    path = config(ward, "backend: lab", use="restricted")
    with pytest.raises(UsageError, match="'lab' of the model 'm' does not say where") as caught:
        run_experiment(*load_config(str(path)))
    assert caught.value.where == "models: m: backend"
    assert "declares `sends_to`" in caught.value.fix
    assert made == []
    assert not (ward / "runs" / "lab" / "run.json").exists()


def test_a_restricted_task_refuses_a_backend_that_sends_to_an_untrusted_server(
    ward: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config(ward, "backend: lab-local", use="restricted")
    elsewhere = (Endpoint("https", "lab.example", 443, "/v1"),)
    monkeypatch.setattr(models.get("lab-local"), "sends_to", lambda options: elsewhere)
    with pytest.raises(UsageError, match=r"'pain' is restricted.*lab\.example") as caught:
        run_experiment(*load_config(str(path)))
    assert caught.value.where == "models: m: backend"  # it has no key `url`
    assert "trusted_endpoints: ['https://lab.example']" in caught.value.fix
    assert made == []
    trusted = ["trusted_endpoints=['https://lab.example']"]
    assert run_experiment(*load_config(str(path), trusted)).errors == 0
    assert made == ["m"]


@pytest.mark.parametrize(
    ("backend", "use"), [("lab-local", "restricted"), ("lab", "open"), ("lab-local", "open")]
)
def test_an_allowed_backend_answers(ward: Path, made: list[str], backend: str, use: str) -> None:
    path = config(ward, f"backend: {backend}, unsure: 2", use=use)
    done = run_experiment(*load_config(str(path)))
    assert done.errors == 0
    assert made == ["m"]
    records = list(read_records(done.folder.records("m", "pain", "closed-book")))
    assert [record.reply for record in records] == ["Grade: 2"] * 5
