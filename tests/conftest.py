"""Fixtures that every part of the tests shares."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from ragbench.cli.listing import REGISTRIES
from tests.copies import copied

settings.register_profile("ragbench", deadline=None)  # the first call imports scipy or torch
settings.load_profile("ragbench")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and tables would fold

REPOSITORY = Path(__file__).parents[1]
STARTED_WITH = os.environ.get("PYTHONPATH")
OUTSIDE_LAB = REPOSITORY / "tests" / "data" / "outside_lab"


def pytest_collection_finish() -> None:
    """Leave modules and tests out of every later search for garbage; some libraries force many."""
    gc.freeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh RAGBENCH_HOME; converted models stay in the shared cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("RAGBENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository; tests that need it skip where it is not."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository")
    return folder


@pytest.fixture
def outside_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the package ``outside_lab`` for one test and the processes that it starts."""
    install(OUTSIDE_LAB, monkeypatch)


def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Python and the registries find the packages of a folder until the test ends."""
    monkeypatch.syspath_prepend(str(site))
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    for target in REGISTRIES.values():
        module, _, name = target.partition(":")
        registry = getattr(import_module(module), name)
        monkeypatch.setattr(registry, "_table", dict(registry._table))
        monkeypatch.setattr(registry, "_outside_loaded", False)


SMALL_CONFIG = """\
name: small
seed: 17
indexes:
  bm25: {recipe: bm25, corpus: task}
  dense: {recipe: minilm-flat, corpus: task}
models:
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: icd10cm, limit: 10, options: {chapters: ["3"]}}
arms:
  - closed-book
  - {name: bm25-2, retriever: bm25, k: 2}
  - {name: bm25-5, retriever: bm25, k: 5}
  - {name: dense-5, retriever: dense, k: 5}
  - {name: random-5, control: random, like: bm25-5}
"""
SMALL_CARD = """\
reader: icd10cm
options: {chapters: ["3"]}
licence: public domain
"""


def make_small_home(folder: Path) -> Path:
    """Fill a home with chapter 3 of ICD-10-CM as the corpus and a config of ten questions."""
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora" / "icd10cm.yaml").write_text(SMALL_CARD, encoding="utf-8")
    (folder / "small.yaml").write_text(SMALL_CONFIG, encoding="utf-8")
    return folder


FACTS = {
    "scurvy": "a lack of vitamin C, with bleeding gums and slow wound healing",
    "rickets": "a lack of vitamin D in children, with soft and bowed bones",
    "beriberi": "a lack of thiamine, with neuropathy and heart failure",
    "pellagra": "a lack of niacin, with dermatitis, diarrhoea and dementia",
    "gout": "urate crystals in a joint, often of the big toe",
    "asthma": "reversible narrowing of the airways with wheeze",
    "croup": "inflammation of the larynx in children with a barking cough",
    "tetanus": "muscle spasms by a toxin of Clostridium tetani",
    "malaria": "fever by Plasmodium carried by mosquitoes",
    "cholera": "watery diarrhoea by Vibrio cholerae",
    "mumps": "swollen parotid glands by a paramyxovirus",
    "shingles": "a painful belt of blisters by the varicella virus",
}
MIXED_CONFIG = """\
name: mixed
seed: 5
reply_limit: 12
indexes:
  bm25: {recipe: bm25}
  dense: {recipe: minilm-flat}
models:
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: facts, task: mcq, options: &facts {path: facts.jsonl, corpus: facts}}
  - {name: facts-options, task: mcq, scoring: options, options: *facts}
  - {name: facts-written, task: mcq, scoring: generate, options: *facts}
arms:
  - closed-book
  - {retriever: bm25, k: [1, 2]}
  - {name: hybrid, fuse: [bm25, dense], k: 2}
  - {control: random, like: bm25-2}
  - {control: oracle, like: bm25-2}
  - {name: oracle-filled, control: oracle, like: bm25-2, fill: retrieved, tasks: [facts]}
  - {control: oracle-removed, like: bm25-2}
  - {control: shuffled, like: bm25-2}
"""


def make_mixed_home(folder: Path) -> Path:
    """Fill a home with twelve facts, a question about each half of them, and every kind of arm."""
    (folder / "corpora").mkdir(parents=True)
    passages = [{"id": f"d-{name}", "text": f"{name} is {text}."} for name, text in FACTS.items()]
    names = list(FACTS)
    questions = [
        {
            "id": f"q-{name}",
            "question": f"Which disease is {text}?",
            "options": sorted([name, names[i + 1], names[i + 6]]),
            "answer": name,
            "gold_doc_ids": [f"d-{name}"],
        }
        for i, (name, text) in enumerate(list(FACTS.items())[:6])
    ]
    for name, lines in (("passages", passages), ("facts", questions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    card = "reader: jsonl\npath: ../passages.jsonl\n"
    (folder / "corpora" / "facts.yaml").write_text(card, encoding="utf-8")
    (folder / "mixed.yaml").write_text(MIXED_CONFIG, encoding="utf-8")
    return folder


def ragbench(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own.

    With an environment of its own it is a new process of Python; else a copy of one that has
    imported the libraries, which saves seconds.
    """
    if environment or os.environ.get("PYTHONPATH") != STARTED_WITH:
        return subprocess.run(
            [sys.executable, "-m", "ragbench", *arguments],
            env={**os.environ, "RAGBENCH_HOME": str(home), **environment},
            capture_output=True,
            text=True,
            cwd=home,
            timeout=3600,  # a busy machine is slow
            check=False,
        )
    return copied(arguments, {**os.environ, "RAGBENCH_HOME": str(home)}, home)


def without(home: Path, *packages: str) -> dict[str, str]:
    """Return an environment in which packages are not found, as where they are not installed."""
    hide = (
        "import importlib.util as u, sys\n"
        f"hidden, real = {packages!r}, u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in hidden else real(n, *a)\n"
        "class Hide:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name in hidden:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Hide())\n"
    )
    (home / "sitecustomize.py").write_text(hide, encoding="utf-8")
    return {"PYTHONPATH": str(home)}


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that one process of the session makes, and the others wait for."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # that of the session, which its workers share
    folder, done = base / name, base / f"{name}.done"
    with FileLock(base / f"{name}.lock"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what a worker that failed has left
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def run_to_its_end(folder: Path, config: str) -> None:
    done = ragbench(folder, "run", config)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the small config has run to its end; read it, do not change it."""
    return made_once(
        tmp_path_factory, "finished", lambda f: run_to_its_end(make_small_home(f), "small.yaml")
    )


@pytest.fixture(scope="session")
def mixed_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the mixed config has run to its end; read it, do not change it."""
    return made_once(
        tmp_path_factory, "mixed", lambda f: run_to_its_end(make_mixed_home(f), "mixed.yaml")
    )


@pytest.fixture
def mixed_copy(mixed_home: Path, home: Path) -> Path:
    """A private home with a copy of the mixed run; returns the run folder."""
    shutil.copytree(mixed_home, home, dirs_exist_ok=True)
    return home / "runs" / "mixed"


@pytest.fixture
def run_copy(finished_home: Path, home: Path) -> Path:
    """A private home with a copy of the finished run; returns the run folder."""
    shutil.copytree(finished_home, home, dirs_exist_ok=True)
    return home / "runs" / "small"


def stop_a_run(folder: Path) -> None:
    """Fill a home with a run that stops when its effects are decided."""
    import ragbench as package
    from tests.experiment.answering.stopping_home import make_stopping_home

    make_stopping_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        package.run(str(folder / "stops.yaml"))


@pytest.fixture(scope="session")
def stopped_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose run stopped when its effects were decided; not to be written to."""
    return made_once(tmp_path_factory, "stopped", stop_a_run)
