"""The demonstration adapter: its split and text come from the script, and nothing leaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from ragbench.corpora.reader import Located
from ragbench.corpora.readers.hpo import HpoOptions, HpoReader, read_terms
from ragbench.corpora.readers.icd10cm import Icd10cmOptions, Icd10cmReader
from tests.conftest import REPOSITORY

SCRIPT = REPOSITORY / "scripts" / "train_demo_adapter"
DEMO = REPOSITORY / "ragbench" / "models" / "demo"


@pytest.fixture(scope="module")
def made() -> tuple[list[str], dict[str, Any]]:
    loader = SourceFileLoader("train_demo_adapter", str(SCRIPT))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look their module up
    loader.exec_module(module)
    lines, split = module.make_split()
    return lines, split


@pytest.mark.slow
def test_the_shipped_split_is_the_scripts(made: tuple[list[str], dict[str, Any]]) -> None:
    assert json.loads((DEMO / "split.json").read_text(encoding="utf-8")) == made[1]


@pytest.mark.slow
def test_no_training_line_names_what_was_held_out(
    made: tuple[list[str], dict[str, Any]],
) -> None:
    lines, split = made
    text = "\n".join(" ".join(re.split(r"\W+", f" {line} ".casefold())) for line in lines)
    reader = Icd10cmReader(None, Icd10cmOptions())
    names = []
    held_out = set(split["icd10cm"]["held_out_groups"])
    for entry in reader.read():
        assert isinstance(entry, Located)
        code = entry.passage.id
        if code[:3] in held_out:
            names += [code, entry.passage.title.removesuffix(f" ({code})")]
    (path,) = HpoReader(None, HpoOptions()).sources()
    terms = read_terms(path)
    for identifier in split["hpo"]["strata"]["held-out"]:
        term = terms[identifier]
        names += [term.name, *(s.text for s in term.synonyms if s.scope == "EXACT")]
    assert len(names) > 2000
    for name in names:
        words = " ".join(re.split(r"\W+", name.casefold())).strip()
        assert f" {words} " not in text, name


def test_the_adapter_is_the_product_of_the_log() -> None:
    config = json.loads((DEMO / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["r"], config["peft_type"]) == (8, "LORA")
    assert config["base_model_name_or_path"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    text = (DEMO / "train.jsonl").read_text(encoding="utf-8")
    log = [json.loads(line) for line in text.splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, len(log) + 1))
    assert log[-1]["tokens"] == len(log) * 8 * 128 > 900_000
    assert log[-1]["loss"] < log[0]["loss"] / 2
    assert (DEMO / "adapter" / "adapter_model.safetensors").stat().st_size < 6_000_000


def train(out: Path, steps: int) -> list[dict[str, Any]]:
    arguments = ["--out", str(out), "--steps", str(steps), "--work", str(out / "work")]
    subprocess.run([sys.executable, str(SCRIPT), *arguments], check=True, capture_output=True)
    text = (out / "train.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.slow
def test_thirty_steps_repeat_the_shipped_log(tmp_path: Path) -> None:
    found = train(tmp_path, 30)
    text = (DEMO / "train.jsonl").read_text(encoding="utf-8")
    shipped = [json.loads(line) for line in text.splitlines()][:30]
    for mine, wanted in zip(found, shipped, strict=True):
        assert mine["loss"] == pytest.approx(wanted["loss"], abs=0.02)


@pytest.mark.slow
def test_training_goes_on_from_its_checkpoint_as_if_never_stopped(tmp_path: Path) -> None:
    train(tmp_path / "a", 2)
    resumed = train(tmp_path / "a", 4)
    whole = train(tmp_path / "b", 4)
    for mine, wanted in zip(resumed, whole, strict=True):
        assert mine["loss"] == pytest.approx(wanted["loss"], abs=0.001)
        assert mine["gradient_norm"] == pytest.approx(wanted["gradient_norm"], abs=0.01)
