"""What models wrote before an answer, opened in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import FACTS, made_once
from tests.experiment.writing.cases import NAMES, WRONG, make_cases, run_cases
from tests.experiment.writing.conftest import finished
from tests.experiment.writing.test_rounds import FOUND, finished_rounds, note
from tests.report.browsing import Driver, find_all, show, wait
from tests.report.conftest import MODEL as ATTACK
from tests.report.test_questions_in_chromium import choose

OPENED = "return document.querySelectorAll('#question .cell details[open] pre').length > 0"


def written_before(driver: Driver, page: Path, question: str, arm: str) -> dict[str, str]:
    """Open what was written before the answers to a question in an arm, by keyboard; by model."""
    from selenium.webdriver.common.keys import Keys

    show(driver, page, whole=True)
    choose(driver, "show", "all")
    choose(driver, "arm", arm)
    driver.find_element("id", "search").send_keys(question)
    wait(driver, "return document.getElementById('status').textContent.startsWith('1 of 12')")
    found = {}
    for cell in find_all(driver, "#question .cell"):
        for summary in cell.find_elements("css selector", "summary"):
            if summary.text == "Written before":
                assert "Written before:" not in cell.text
                summary.send_keys(Keys.ENTER)
                wait(driver, OPENED)
                model = cell.find_element("css selector", "h5").text
                found[model] = summary.find_element("xpath", "..").text
    return found


@pytest.mark.slow
def test_the_query_of_each_model_is_shown_with_its_answer(
    chromium: Driver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page = made_once(tmp_path_factory, "written", finished) / "runs" / "written" / "report.html"
    name = WRONG[0]  # of which the biomedical model knows the next disease
    shown = written_before(chromium, page, f"Case {NAMES.index(name) + 11}", "own-1")
    texts = list(shown.values())
    assert len(texts) == 2
    for text, model, known in zip(texts, ("llama", "med"), (name, NAMES[1]), strict=True):
        assert f"{model}, queries.own: <think>Gout?</think>{FACTS[known]}." in text
    assert written_before(chromium, page, f"Case {NAMES.index(name) + 11}", "plain-1") == {}


@pytest.mark.slow
def test_rounds_are_shown_in_their_order(
    chromium: Driver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = made_once(tmp_path_factory, "rounds", finished_rounds)
    page, name = home / "runs" / "rounds" / "report.html", FOUND[0]
    shown = written_before(chromium, page, f"Case {NAMES.index(name) + 11}", "three-3")
    for text in shown.values():
        places = [text.index(part) for part in (note(name), "It is sign", FACTS[name], "NONE")]
        assert places == sorted(places)
    assert len(shown) == 2


@pytest.mark.slow
def test_what_a_model_writes_is_shown_as_text(chromium: Driver, home: Path) -> None:
    make_cases(home)
    line = {"matches": "(?s).*", "reply": ATTACK}
    (home / "llama.jsonl").write_text(json.dumps(line) + "\n")
    folder = run_cases(home, "models.med.replies=llama.jsonl", report=True)
    shown = written_before(chromium, folder / "report.html", "Case 15", "rationale-1")
    assert all(ATTACK in text for text in shown.values())
    assert len(shown) == 2
    assert find_all(chromium, "#question img") == []
