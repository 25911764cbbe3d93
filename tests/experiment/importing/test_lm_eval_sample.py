"""One line of a log: what is read of it, and what cannot be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.experiment.importing.lm_eval_sample import read_sample


def scored(**fields: Any) -> dict[str, Any]:
    """Return a line of multiple choice: three options, the second likeliest and right."""
    texts = (" gout", " asthma", " croup")
    line = {
        "doc_id": 7,
        "doc": {"query": "What wheezes?"},
        "target": "1",
        "arguments": {
            f"gen_args_{i}": {"arg_0": "What wheezes?", "arg_1": text}
            for i, text in enumerate(texts)
        },
        "resps": [[["-9.5", "False"]], [["-1.5", "True"]], [["-4", "False"]]],
        "filter": "none",
        "metrics": ["acc"],
        "acc": 1.0,
    }
    return line | fields


def written(**fields: Any) -> dict[str, Any]:
    """Return a line of generation whose document lists its options."""
    line = {
        "doc_id": 0,
        "doc": {"question": "What wheezes?", "options": ["gout", "asthma"]},
        "target": "B",
        "arguments": [["What wheezes?\nA. gout\nB. asthma\n", {"until": ["\n"]}]],
        "resps": [["It is B."]],
        "filtered_resps": ["B"],
        "filter": "letter",
    }
    return line | fields


def pairs(prompts: list[str], texts: list[str]) -> list[list[str]]:
    return [list(pair) for pair in zip(prompts, texts, strict=True)]


def test_a_target_that_is_the_text_and_the_number_of_options_is_named_with_both() -> None:
    line = scored(arguments=pairs(["Q"] * 3, [" 2", " 0", " 1"]))
    assert read_sample(line, "t", "f:1").question.answer == 1  # the logged acc decides
    del line["acc"]
    with pytest.raises(DataError, match="the text or the number of an option: '1' or '0'"):
        read_sample(line, "t", "f:1")


def test_multiple_choice() -> None:
    found = read_sample(scored(), "t", "f:1")
    assert found.kind == "scored"
    assert found.question.id == "7"
    assert found.question.text == "What wheezes?"
    assert found.question.options == ("gout", "asthma", "croup")
    assert found.question.answer == 1
    assert found.answer.log_likelihoods == (-9.5, -1.5, -4.0)
    assert found.logged == {"acc": 1.0}


def test_arguments_of_older_logs_are_lists() -> None:
    old = scored(arguments=pairs(["Q"] * 3, [" gout", " asthma", " croup"]))
    assert read_sample(old, "t", "f:1").question.options == ("gout", "asthma", "croup")


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (["A", "B", "C"], ("A", "B", "C")),
        ([" A", " B", " C"], ("A", "B", "C")),
        ([" A", "B", " C"], (" A", "B", " C")),  # the blank is the options' own
        (["  A", "  B", "  C"], (" A", " B", " C")),
    ],
)
def test_one_blank_before_every_option_is_the_delimiter(
    texts: list[str], options: tuple[str, ...]
) -> None:
    found = read_sample(scored(arguments=pairs(["Q"] * 3, texts)), "t", "f:1")
    assert found.question.options == options


def test_mutual_information_has_the_options_twice() -> None:
    texts = [" gout", " asthma", " croup"]
    arguments = pairs(["Q"] * 3 + [""] * 3, texts * 2)
    responses = scored()["resps"] + [[["-1", "False"]]] * 3
    found = read_sample(scored(arguments=arguments, resps=responses), "t", "f:1")
    assert found.answer.log_likelihoods == (-9.5, -1.5, -4.0)


@pytest.mark.parametrize(
    ("target", "answer"),
    [("1", 1), ("asthma", 1), (" asthma", 1)],
)
def test_targets(target: str, answer: int) -> None:
    assert read_sample(scored(target=target), "t", "f:1").question.answer == answer


def test_a_written_choice() -> None:
    found = read_sample(written(), "t", "f:1")
    assert (found.kind, found.question.options, found.question.answer) == (
        "choice",
        ("gout", "asthma"),
        1,
    )
    assert found.answer.reply == "B"
    assert found.answer.reply_before_filter == "It is B."
    for target in ("(B)", "asthma"):
        assert read_sample(written(target=target), "t", "f:1").question.answer == 1


@pytest.mark.parametrize(
    "doc",
    [
        {"options": {"A": "gout", "B": "asthma"}},
        {"choices": {"text": ["gout", "asthma"], "label": ["A", "B"]}},
        {"choices": ["gout ", "asthma"]},
    ],
)
def test_where_documents_list_options(doc: dict[str, Any]) -> None:
    assert read_sample(written(doc=doc), "t", "f:1").question.options == ("gout", "asthma")


@pytest.mark.parametrize(
    "fields",
    [
        {"doc": {"question": "What wheezes?"}},
        {"doc": {"options": ["gout", "gout"]}},  # a letter cannot be told from another
        {"doc": {"options": ["gout"]}},
        {"target": "a wheeze"},
        {"target": "asthma", "arguments": [["What wheezes?", {}]]},  # it was not to choose
    ],
)
def test_a_text(fields: dict[str, Any]) -> None:
    found = read_sample(written(**fields), "t", "f:1")
    assert (found.kind, found.question.options, found.question.answer) == ("text", (), -1)
    assert found.question.reference == fields.get("target", "B")


def test_a_log_without_filters() -> None:
    line = written()
    del line["filtered_resps"], line["filter"]
    found = read_sample(line, "t", "f:1")
    assert (found.answer.reply, found.filter_name) == ("It is B.", "none")


@pytest.mark.parametrize(
    ("line", "what", "where"),
    [
        (scored(target="3"), "target '3' is not one of the 3 options", "f:1"),
        (scored(target="[0, 1]"), r"target '\[0, 1\]' is not one", "f:1"),
        (scored(acc=0.0), "the log's acc 0.0 contradicts its target '1'", "f:1"),
        (
            scored(arguments=pairs(["a", "b", "c"], [" x", " x", " x"])),
            "options are in the prompts",
            r"task t \(multiple_choice with several inputs\)",
        ),
        (
            scored(arguments=[["Q", " gout"]], resps=[[["-1", "True"]]]),
            "1 continuations and 1 answers, as of the output type loglikelihood",
            "task t",
        ),
        (
            scored(arguments=[["a whole text"]], resps=[[["-312.5"]]]),
            r"neither .*: loglikelihood_rolling \(perplexity\)",
            "task t",
        ),
        (scored(arguments=7), "not those of a sample", "f:1"),
        (scored(arguments={"gen_args_0": {}}), "not those of a sample", "f:1"),
        (scored(resps=[[]]), "not those of a sample", "f:1"),
        (scored(resps=[[[]], [[]], [[]]]), "is not a number", "f:1"),
        (scored(arguments=[["q", " x"], ["q", " y"], ["q"]]), "no continuation", "f:1"),
        (scored(acc=10**400), "a logged metric is beyond any number|contradicts", "f:1"),
        (scored(target="9" * 5000), "is not one of the 3 options", "f:1"),
        (scored(resps=[[[10**400]], [["-1"]], [["-2"]]]), "is not a number", "f:1"),
        (scored(doc={"query": "\ud800"}), "half of a surrogate pair", "f:1"),
        (written(target="['a', 'b']"), "is a list", "f:1"),
        (written(target=" "), "the target is empty", "f:1"),
        (written(filtered_resps=[7]), "'filtered_resps' contains no text", "f:1"),
        (written(filtered_resps=["\udc00"]), "half of a surrogate pair", "f:1"),
    ],
)
def test_what_cannot_be_imported(line: dict[str, Any], what: str, where: str) -> None:
    with pytest.raises(DataError, match=what) as caught:
        read_sample(line, "t", "f:1")
    assert re.search(where, caught.value.where)


def test_null_in_place_of_a_reply() -> None:
    found = read_sample(written(resps=[[None]], filtered_resps=[None]), "t", "f:1")
    assert found.answer.reply is None
    assert found.answer.error == "the imported file has null in place of the reply"
    with pytest.raises(DataError, match="neither multiple choice nor generation"):
        read_sample(written(resps=[[7]]), "t", "f:1")
