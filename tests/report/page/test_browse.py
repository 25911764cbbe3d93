"""Every question as data: equal to the run's own files, safe in a page, light by parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.load import Run, load_run
from ragbench.base.errors import DataError
from ragbench.base.files import read_jsonl
from ragbench.report.page.browse import browser, embed
from tests.analysis.making import edited
from tests.conftest import FACTS
from tests.runfolder.sealing import reseal


@pytest.fixture
def run(mixed_home: Path) -> Run:
    return load_run(mixed_home / "runs" / "mixed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(["</script>", "<!--"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_data_stays_inside_its_element(value: object) -> None:
    text = embed(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_blocks_hold_what_the_run_holds(run: Run) -> None:
    """Compare with scores, records, packings and prompts as they lie in the folder."""
    found = browser(run)
    assert (found.withheld, found.left_out) == ([], [])
    core, texts, passages, prompts = (json.loads(block) for block in found.blocks.values())
    bodies = {line["id"]: line["text"] for _, line in read_jsonl(run.path / "passages.jsonl")}
    rendered = {
        line["digest"]: line["text"] for _, line in read_jsonl(run.path / "prompts/0.jsonl")
    }
    for t, task in enumerate(core["tasks"]):
        for c, cell in enumerate(task["cells"]):
            arm = task["arms"][cell["arm"]]
            name = f"scripted+{task['name']}+{arm}.0.jsonl"
            records = {r["question_id"]: r for _, r in read_jsonl(run.path / "records" / name)}
            scores = run.cell("scripted", task["name"], arm).set_index("question_id")
            for q, question in enumerate(task["ids"]):
                record, score = records[question], scores.loc[question]
                assert cell["outcome"][q] == score["outcome"]
                assert cell["right"][q] == score["accuracy"]
                likelihoods = cell["likelihoods"][q]
                assert likelihoods == (
                    record["log_likelihoods"]
                    and pytest.approx(record["log_likelihoods"], abs=0.0006)
                )
                packed = task["packed"][cell["arm"]][q]
                assert [core["passages"][place] for place in packed] == record["passages"]
                assert [passages[p][2] for p in packed] == [bodies[i] for i in record["passages"]]
                text = prompts["texts"][prompts["tasks"][t][c][q]]
                assert text == rendered[record["prompt"]]
                if record["reply"] is not None:
                    assert texts[t]["cells"][c]["reply"][q] in record["reply"]
        # A query is held where it is another text than the question.
        for q, question in enumerate(run.questions(task["name"])):
            assert (texts[t]["queries"][q] or texts[t]["text"][q]) == question.query
    assert found.blocks["passages"].count(FACTS["scurvy"]) == 1


def test_what_is_too_much_is_left_out_by_worth(run: Run) -> None:
    sizes = [len(block) for block in browser(run).blocks.values()]
    names = ["core", "texts", "passages", "prompts"]
    for kept in (4, 3, 2, 1):
        found = browser(run, limit=sum(sizes[:kept]))
        assert list(found.blocks) == names[:kept]
        assert found.left_out == names[kept:]
    found = browser(run, limit=sizes[0] - 1)
    assert found.blocks == {}
    assert found.left_out == ["questions", "texts", "passages", "prompts"]


def test_restricted_data_gives_numbers_and_ids_alone(run: Run) -> None:
    found = browser(edited(run, "identity.corpora.facts.data_use", "restricted"))
    assert list(found.blocks) == ["core"]
    assert found.left_out == []
    for text in FACTS.values():
        assert text not in found.blocks["core"]
    assert "q-scurvy" in found.blocks["core"]


def test_a_question_without_a_packing_is_told(mixed_copy: Path) -> None:
    path = mixed_copy / "packed" / "facts+bm25-2.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    reseal(mixed_copy)
    with pytest.raises(DataError, match="no packing of question 'q-scurvy'"):
        browser(load_run(mixed_copy))
