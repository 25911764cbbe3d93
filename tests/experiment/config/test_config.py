"""Configs: what is refused, with which words, and how overrides win."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import Config, load_config

GOOD = """\
name: x
indexes: {lex: {recipe: bm25}}
models:
  - {name: m, path: ./weights}
  - {name: b, path: ./tuned, kind: biomedical, base: m}
tasks: [icd10cm]
arms:
  - closed-book
  - {name: lex-5, retriever: lex, k: 5}
  - {name: placebo, control: random, like: lex-5}
"""


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_short_forms_and_defaults(tmp_path: Path) -> None:
    config, _ = load_config(write(tmp_path, GOOD))
    assert config.tasks[0].task == "icd10cm"
    assert [arm.kind for arm in config.arms] == ["closed-book", "retriever", "random"]
    assert config.packing.budget_tokens is None
    assert config.reference_model().name == "m"


@pytest.mark.parametrize(
    ("old", "new", "what", "where"),
    [
        ("name: x", "nmae: x", "there is no key 'nmae'", "config.yaml:1"),
        ("k: 5", "kk: 5", "there is no key 'kk'", "config.yaml:9"),
        ("name: x", "name: ../x", "a name has only letters", "config.yaml:1"),
        ("retriever: lex, k: 5", "retriever: lexx, k: 5", "there is no index 'lexx'", ":9"),
        ("like: lex-5", "like: closed-book", "no arm with a retriever 'closed-book'", ":10"),
        ("base: m", "base: n", "there is no model 'n'", "config.yaml:5"),
        ("retriever: lex, k: 5", "retriever: lex", "needs `k`", "config.yaml:9"),
        ("kind: biomedical, base: m", "kind: biomedical", "go together", "config.yaml:5"),
        ("{name: m, path: ./weights}", "{name: m}", "give one of `path`", "config.yaml:4"),
        ("name: b,", "name: m,", "two models have the name 'm'", "config.yaml:5"),
        ("name: lex-5,", "name: closed-book,", "the name closed-book is reserved", "config.yaml:9"),
        ("name: x", "name: x\nseed: 9223372036854775808", "a number below", "config.yaml:2"),
        ("k: 5", "k: 0", "k is a number from 1", "config.yaml:9"),
        ("name: x", "name: !!python/name:os.system x", "the tag", "config.yaml:1"),
        ("name: x", "name: x\nname: y", "the key 'name' is repeated", "config.yaml:2"),
        ("tasks: [icd10cm]", "tasks: []", "at least one entry", "config.yaml:6"),
    ],
)
def test_mistakes_name_their_line(
    tmp_path: Path, old: str, new: str, what: str, where: str
) -> None:
    assert old in GOOD
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD.replace(old, new, 1)))
    assert what in caught.value.what
    assert where in caught.value.where


def test_arms_without_a_name_get_one(tmp_path: Path) -> None:
    text = GOOD.replace("name: lex-5, ", "").replace("name: placebo, ", "")
    config, _ = load_config(write(tmp_path, text))
    assert [arm.name for arm in config.arms] == ["closed-book", "lex-5", "random-lex-5"]


def test_near_name_is_offered(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD.replace("name: x", "name: x\nseeed: 3")))
    assert "'seed'" in caught.value.fix


def test_overrides_win_over_environment_over_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOOD)
    monkeypatch.setenv("RAGBENCH_SET_seed", "3")
    monkeypatch.setenv("RAGBENCH_SET_tasks__0__limit", "7")
    config, _ = load_config(path)
    assert (config.seed, config.tasks[0].limit) == (3, 7)
    config, _ = load_config(path, ["seed=4", "arms.lex-5.k=9", "tasks.icd10cm.limit=8"])
    assert (config.seed, config.arms[1].k, config.tasks[0].limit) == (4, 9, 8)


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("seed", "is not key=value"),
        ("sede=3", "there is no key 'sede'"),
        ("arms.7.k=3", "there is no member '7'"),
        ("seed=abc", "`seed` takes a whole number"),
    ],
)
def test_bad_overrides_are_named(tmp_path: Path, override: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, GOOD), [override])
    assert what in caught.value.what
    assert f"--set {override}" in caught.value.where


def test_unknown_config_lists_known(home: Path) -> None:
    with pytest.raises(UsageError, match="no config 'quickstrat'") as caught:
        load_config("quickstrat")
    assert "quickstart" in caught.value.fix


@pytest.mark.parametrize("name", ["quickstart", "quickstart-full"])
def test_bundled_quickstart_is_valid(home: Path, name: str) -> None:
    config, document = load_config(name)
    assert isinstance(config, Config)
    assert document.path.name == f"{name}.yaml"
    assert config.name == name


def test_a_list_of_k_makes_an_arm_each(tmp_path: Path) -> None:
    text = GOOD.replace("k: 5", "k: [5, 7]", 1).replace("like: lex-5", "like: lex-5-7")
    config, _ = load_config(write(tmp_path, text))
    assert {"lex-5-5", "lex-5-7"} <= {arm.name for arm in config.arms}
    assert all(not isinstance(arm.k, tuple) for arm in config.arms)


@pytest.mark.parametrize(
    ("arm", "what"),
    [
        ("{name: f, fuse: [lex, nothing], k: 2}", "no index 'nothing'"),
        ("{name: f, fuse: [lex, other], k: 2}", "search different corpora"),
        ("{name: f, retriever: lex, k: 2, tasks: [icd10]}", "no task 'icd10'"),
        ("{name: lex, run_file: a.trec, k: 2}", "'lex' of a run file has the name of an index"),
        ("{name: f, control: shuffled, like: f}", "no arm with a retriever 'f'"),
    ],
)
def test_references_of_arms_are_checked(tmp_path: Path, arm: str, what: str) -> None:
    text = GOOD.replace("arms:\n", f"arms:\n  - {arm}\n", 1).replace(
        "indexes: {", "indexes: {other: {recipe: bm25, corpus: notes}, ", 1
    )
    assert arm in text
    with pytest.raises(UsageError, match=what):
        load_config(write(tmp_path, text))


def test_an_adapter_takes_the_weights_of_its_base(tmp_path: Path) -> None:
    text = GOOD.replace("base: m", "base: m, adapter: ./tuned")
    config, _ = load_config(write(tmp_path, text))
    tuned = next(model for model in config.models if model.kind == "biomedical")
    assert tuned.reference == "./tuned"
    config, _ = load_config(write(tmp_path, text.replace("path: ./tuned, ", "")))
    tuned = next(model for model in config.models if model.kind == "biomedical")
    assert tuned.reference == "./weights"


def test_what_a_run_is_made_to_test(tmp_path: Path) -> None:
    effects = "[interaction, headroom with gold missing, headroom with gold delivered]"
    said = f"analysis: {{primary: {{arm: lex-5, effects: {effects}, tasks: [icd10cm]}}}}\n"
    config, _ = load_config(write(tmp_path, GOOD + said))
    assert config.analysis.primary.effects == (
        "interaction",
        "headroom with gold missing",
        "headroom with gold delivered",
    )
    assert config.analysis.equivalence_margin == 0.03


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("{primary: {arm: lex-4}}", "there is no retrieval arm 'lex-4'"),
        ("{primary: {arm: placebo}}", "there is no retrieval arm 'placebo'"),
        ("{primary: {arm: closed-book}}", "there is no retrieval arm 'closed-book'"),
        ("{primary: {tasks: [icd]}}", "there is no task 'icd'"),
        ("{primary: {tasks: [(macro)]}}", "there is no task '(macro)'"),  # it has one task
        ("{primary: {effects: [gain]}}", "'retrieval gain'"),
        ("{primary: {effects: [headroom]}}", "headroom is two effects"),
        ("{primary: {effects: [headroom]}}", "`headroom with gold missing`"),
        ("{primary: {effects: [interaction, headroom]}}", "`headroom with gold delivered`"),
        ("{equivalence_margin: 3}", "a number below 1"),
    ],
)
def test_primary_effects_that_lead_nowhere(tmp_path: Path, said: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_config(write(tmp_path, f"{GOOD}analysis: {said}\n"))
    assert message in str(caught.value)
    assert "analysis" in str(caught.value)
