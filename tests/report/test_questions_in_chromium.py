"""The browser of questions in a real browser: filters, the list, a question by keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ragbench.report.write import write_report
from tests.report.browsing import Driver, find_all, show, wait
from tests.runfolder.sealing import reseal


def choose(driver: Driver, identifier: str, value: str) -> int:
    """Set a filter as a user does; return how many questions pass."""
    driver.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('change'));",
        identifier,
        value,
    )
    said = driver.find_element("id", "status").text
    found = re.match(r"(\d+) of \d+ questions", said)
    assert found or said.startswith("No question passes")
    return int(found[1]) if found else 0


def test_filters_leave_the_questions_that_the_scores_say(
    chromium: Driver, mixed_page: Path
) -> None:
    import pandas as pd

    scores = pd.read_parquet(mixed_page.parent / "scores" / "correct.parquet")
    show(chromium, mixed_page, whole=True)
    assert choose(chromium, "show", "all") == 18
    assert choose(chromium, "task", "facts-options") == 6
    table = scores[scores.task == "facts-options"].pivot(
        index="question_id", columns="arm", values="accuracy"
    )
    for arm in ("bm25-1", "hybrid", "random-bm25-2"):
        choose(chromium, "arm", arm)
        gain = table[arm] - table["closed-book"]
        assert choose(chromium, "show", "helped") == (gain > 0).sum()
        assert choose(chromium, "show", "hurt") == (gain < 0).sum()
        assert choose(chromium, "show", "right") == (table[arm] == 1).sum()
        assert choose(chromium, "show", "wrong") == (table[arm] == 0).sum()
    choose(chromium, "arm", "")
    choose(chromium, "show", "unread")
    written = scores[scores.task == "facts-written"]
    silent = written[written.outcome.isin(["unparsed", "refused", "truncated"])]
    assert choose(chromium, "task", "facts-written") == silent.question_id.nunique()
    assert choose(chromium, "show", "error") == 0
    assert not chromium.find_element("id", "list").is_displayed()


def test_a_question_shows_every_cell_its_passages_and_its_prompts(
    chromium: Driver, mixed_page: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    show(chromium, mixed_page, whole=True)
    chromium.find_element("id", "search").send_keys("SCURVY")
    wait(chromium, "return document.getElementById('status').textContent.startsWith('3 of 18')")
    assert choose(chromium, "task", "facts-written") == 1
    page = chromium.find_element("id", "question")
    assert "Which disease is a lack of vitamin C" in page.text
    core = json.loads(chromium.find_element("id", "data-core").get_property("textContent"))
    (task,) = [task for task in core["tasks"] if task["name"] == "facts-written"]
    heads = [cell.text.splitlines()[0] for cell in find_all(chromium, "#question .cell h5")]
    assert heads == [task["arms"][cell["arm"]] for cell in task["cells"]]
    place = task["ids"].index("q-scurvy")
    for cell, shown in zip(task["cells"], find_all(chromium, "#question .cell"), strict=True):
        sign = "\N{CHECK MARK} right" if cell["right"][place] else "\N{BALLOT X} wrong"
        assert sign in shown.text
    choose(chromium, "arm", "bm25-2")
    assert len(find_all(chromium, "#question .cell")) == 1
    (arm,) = find_all(chromium, "#question .arm")
    assert "2 passages, 1 of them gold" in arm.text
    assert "d-scurvy \N{BLACK STAR} gold" in arm.text.replace("  ", " ")
    assert "scurvy is a lack of vitamin C, with bleeding gums" in arm.text  # gold ones are open
    marks = {mark.text for mark in find_all(chromium, "#question .passages mark:not(.answer)")}
    assert {"lack", "vitamin"} <= marks
    assert not marks & {"is", "a", "of", "which"}
    prompt = chromium.find_element("css selector", "#question .cell > details > summary")
    prompt.send_keys(Keys.ENTER)
    wait(chromium, "return document.querySelector('#question .cell details pre') !== null")
    records = mixed_page.parent / "records" / "scripted+facts-written+bm25-2.0.jsonl"
    first = json.loads(records.read_text(encoding="utf-8").splitlines()[0])
    assert first["question_id"] == "q-scurvy"
    prompts = (mixed_page.parent / "prompts" / "0.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {line["digest"]: line["text"] for line in map(json.loads, prompts)}
    shown = chromium.find_element("css selector", "#question .cell details pre")
    assert shown.get_property("textContent") == texts[first["prompt"]]
    assert chromium.get_log("browser") == []


def test_log_likelihoods_have_letters_and_the_pick(chromium: Driver, mixed_page: Path) -> None:
    show(chromium, mixed_page, whole=True)
    choose(chromium, "task", "facts-options")
    choose(chromium, "arm", "bm25-1")
    core, texts = (
        json.loads(chromium.find_element("id", f"data-{name}").get_property("textContent"))
        for name in ("core", "texts")
    )
    (t,) = [i for i, task in enumerate(core["tasks"]) if task["name"] == "facts-options"]
    task, options = core["tasks"][t], texts[t]["options"][0]
    (cell,) = [c for c in task["cells"] if task["arms"][c["arm"]] == "bm25-1"]
    lines = [row.text for row in find_all(chromium, "#question .letters tr")]
    assert len(lines) == len(options)
    for i, (line, total) in enumerate(zip(lines, cell["likelihoods"][0], strict=True)):
        assert line.startswith(f"{'ABCDEFGH'[i]} {total:.3f} ")
        assert abs(float(line.split()[2]) - total / len(options[i])) < 0.00051
        assert ("picked" in line) == (i == cell["pick"][0])
        assert ("\N{CHECK MARK}" in line) == (i == task["answer"][0])


@pytest.mark.slow
def test_a_long_list_draws_the_rows_in_view_alone(chromium: Driver, mixed_copy: Path) -> None:
    """Give one task 594 more questions, and go through them by keyboard and by scrolling."""
    from selenium.webdriver.common.keys import Keys

    many(mixed_copy, "facts", 100)
    show(chromium, write_report(mixed_copy).page, whole=True)
    assert chromium.find_element("id", "status").text == "612 of 612 questions"
    assert len(find_all(chromium, ".entry")) < 30
    box = chromium.find_element("id", "list")

    def chosen() -> str:
        (entry,) = find_all(chromium, ".entry[aria-selected=true]")
        assert box.get_attribute("aria-activedescendant") == entry.get_attribute("id")
        assert entry.get_attribute("aria-setsize") == "612"
        return str(entry.get_attribute("aria-posinset"))

    assert chosen() == "1"
    for key, place in ((Keys.ARROW_DOWN, "2"), (Keys.END, "612"), (Keys.ARROW_UP, "611")):
        box.send_keys(key)
        assert chosen() == place
    title = chromium.find_element("css selector", "#question h3").text
    chromium.execute_script("document.getElementById('list').scrollTop = 0")
    wait(chromium, "return document.getElementById('row-0') !== null")
    assert chromium.find_element("css selector", "#question h3").text == title
    box.send_keys(Keys.HOME)
    assert chosen() == "1"
    previous, following = find_all(chromium, "#question .pager button")
    assert not previous.is_enabled()
    following.click()
    assert chosen() == "2"


def many(run: Path, task: str, copies: int) -> None:
    """Repeat the questions of a task under new ids, with all that is known of them."""
    import pandas as pd

    files = [
        (run / "questions" / f"{task}.jsonl", "id"),
        *((path, "question_id") for path in (run / "packed").glob(f"{task}+*")),
        *((path, "question_id") for path in (run / "records").glob(f"*+{task}+*")),
        *((path, "question_id") for path in (run / "retrieval").glob(f"{task}+*.quality.jsonl")),
    ]
    for path, key in files:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        made = [line | {key: f"{line[key]}-{i}"} for i in range(copies) for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in made), encoding="utf-8")
    table = run / "scores" / "correct.parquet"
    scores = pd.read_parquet(table)
    mine = scores[scores.task == task]
    more = [mine.assign(question_id=mine.question_id + f"-{i}") for i in range(copies)]
    pd.concat([scores[scores.task != task], *more], ignore_index=True).to_parquet(table)
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    about["identity"]["tasks"][task]["n"] *= copies
    (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(run)
