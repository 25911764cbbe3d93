"""Thirty wrong configs: each message names the mistake, its line, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.samples import SAMPLES, sample_of

GOOD = """\
name: x
indexes: {lex: {recipe: bm25}}
models:
  - {name: m, path: ./weights}
tasks: [icd10cm]
arms:
  - closed-book
  - {retriever: lex, k: 5}
"""
MODEL = "  - {name: m, path: ./weights}"
ARM = "  - {retriever: lex, k: 5}"
INDEX = "indexes: {lex: {recipe: bm25}}"
TASKS = "tasks: [icd10cm]"
QWEN = "Qwen/Qwen2.5-0.5B"
# (what is replaced, by what, what the message says, its line, what it says to write)
WRONG = {
    "a bare hub id": (
        *(MODEL, f"  - {QWEN}", f"the model '{QWEN}' has no name", 4),
        f"write `{{name: qwen2.5-0.5b, model: {QWEN}}}`",
    ),
    "a bare folder": (
        *(MODEL, "  - ./tuned", "the model './tuned' has no name", 4),
        "write `{name: tuned, path: ./tuned}`",
    ),
    "a bare card": (
        *(MODEL, "  - smollm2-135m", "the model 'smollm2-135m' is the name of a model card", 4),
        "write `card:smollm2-135m`",
    ),
    "models as a mapping": (
        *(f"models:\n{MODEL}", f"models:\n  qwen: {QWEN}", "takes a list, and this is a map", 3),
        f"write `models: [{{name: qwen, model: {QWEN}}}]`",
    ),
    "models as a text": (
        *(f"models:\n{MODEL}", f"models: {QWEN}", "`models` takes a list", 3),
        f"write `models: [{QWEN}]`",
    ),
    "a model by its name as a key": (
        *(MODEL, f"  - qwen: {QWEN}", "the model 'qwen' is written as a key", 4),
        f"write `- {{name: qwen, model: {QWEN}}}`",
    ),
    "a model without a name": (
        *(MODEL, f"  - model: {QWEN}", "the model has no name", 4),
        f"write `{{name: mine, model: {QWEN}}}`",
    ),
    "an unknown key of a model": (
        *(MODEL, MODEL.replace("path", "paht"), "the backend `hf` has no key 'paht'", 4),
        "did you mean 'path'",
    ),
    "an unknown backend": (
        *(MODEL, MODEL.replace("path:", "backend: servr, path:"), "there is no 'servr'", 4),
        "did you mean 'server'",
    ),
    "an unknown kind": (
        *(MODEL, MODEL.replace("path:", "kind: biomed, path:"), "`kind` takes one of", 4),
        "did you mean 'biomedical'",
    ),
    "no model": (
        *(f"models:\n{MODEL}", "models: []", "`models` takes at least one entry", 3),
        "write `models: [{name: qwen, model:",
    ),
    "models missing": (
        *(f"models:\n{MODEL}\n", "", "the key 'models' is missing", 1),
        "add `models: [{name: qwen, model:",
    ),
    "closed-book with a colon": (
        *("  - closed-book", "  - closed-book:", "'closed-book' ends with a colon", 7),
        "write `- closed-book`, without the colon",
    ),
    "an arm by its name as a key": (
        *(ARM, "  - lex-5: {retriever: lex, k: 5}", "the arm 'lex-5' is written as a key", 8),
        "write `- {name: lex-5, retriever: lex, k: 5}`",
    ),
    "an arm by its name alone": (
        *(ARM, "  - bm25-5", "there is no arm 'bm25-5' that a name alone describes", 8),
        "write `closed-book`, or `{name: bm25-5, retriever: NAME, k: 5}`",
    ),
    "arms as a text": (
        *(f"arms:\n  - closed-book\n{ARM}", "arms: closed-book", "`arms` takes a list", 6),
        "write `arms: [closed-book]`",
    ),
    "arms as a mapping": (
        *("  - closed-book\n" + ARM, "  lex-5: {retriever: lex, k: 5}", "this is a mapping", 6),
        "write `arms: [{name: lex-5, retriever: lex, k: 5}]`",
    ),
    "an unknown key of an arm": (
        *(ARM, ARM.replace("k: 5", "k: 5, oder: best-last"), "there is no key 'oder'", 8),
        "did you mean 'order'",
    ),
    "k as a word": (
        *(ARM, ARM.replace("k: 5", "k: five"), "`k` takes a whole number or a list", 8),
        "write `k: 5, or k: [1, 5]`",
    ),
    "an unknown control": (
        *(ARM, f"{ARM}\n  - {{control: randm, like: lex-5}}", "`control` takes one of", 9),
        "did you mean 'random'",
    ),
    "fuse as a text": (
        *(ARM, "  - {fuse: lex, k: 5}", "`fuse` takes a list", 8),
        "write `fuse: [bm25, dense]`",
    ),
    "an unknown index": (
        *(ARM, ARM.replace("lex", "lexx"), "there is no index 'lexx'", 8),
        "did you mean 'lex'",
    ),
    "an index by its recipe alone": (
        *(INDEX, "indexes: {lex: bm25}", "an index is a recipe over a corpus", 2),
        "write `{recipe: bm25, corpus: NAME}`",
    ),
    "indexes as a list": (
        *(INDEX, "indexes: [bm25]", "`indexes` takes a mapping of keys", 2),
        "write `indexes: {bm25: {recipe: bm25, corpus: textbooks}}`",
    ),
    "a task with a colon": (
        *(TASKS, "tasks:\n  - icd10cm:", "'icd10cm' ends with a colon", 6),
        "write `- icd10cm`",
    ),
    "tasks as a text": (
        *(TASKS, "tasks: icd10cm", "`tasks` takes a list", 5),
        "write `tasks: [icd10cm]`",
    ),
    "a limit in words": (
        *(TASKS, "tasks: [{name: icd10cm, limit: many}]", "`limit` takes a whole number", 5),
        "write `limit: 200`",
    ),
    "a limit of nothing": (
        *(TASKS, "tasks: [{name: icd10cm, limit: 0}]", "`limit` takes a number above 0", 5),
        "write `limit: 200`",
    ),
    "an unknown scoring": (
        *("name: x", "name: x\nscoring: leters", "`scoring` takes one of", 2),
        "did you mean 'letters'",
    ),
    "an unknown key": (
        *("name: x", "name: x\nmodles: []", "there is no key 'modles'", 2),
        "did you mean 'models'",
    ),
    "a seed in words": (
        *("name: x", "name: x\nseed: [1]", "`seed` takes a whole number", 2),
        "write `seed: 17`",
    ),
    "a name that is a number": (
        *("name: x", "name: 7", "`name` takes a text", 1),
        "write `name: my-run`",
    ),
    "packing as a number": (
        *("name: x", "name: x\npacking: 4096", "`packing` takes a mapping of keys", 2),
        "write `packing: {budget_tokens: 4096}`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_config_is_explained(name: str, tmp_path: Path) -> None:
    old, new, what, line, fix = WRONG[name]
    assert GOOD.count(old) == 1
    path = tmp_path / "config.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(str(path))
    assert what in caught.value.what
    assert caught.value.where.startswith(f"{path}:{line}")
    assert fix in caught.value.fix
    assert "more error" not in caught.value.what
    for word in ("Input", "valid", "ModelSpec", "ArmSpec", "instance"):  # words of pydantic
        assert word not in str(caught.value)


def test_the_sample_of_the_deepest_key_is_given() -> None:
    assert sample_of(("arms", 3, "k")) == SAMPLES["arms.*.k"]
    assert sample_of(("arms", 3, "order")) == SAMPLES["arms.*"]
    assert sample_of(("description",)) == ""
