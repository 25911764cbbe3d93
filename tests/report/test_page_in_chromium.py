"""The page in a real browser: it works, it fits, it asks for nothing, it obeys no data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ragbench.report.write import write_report
from tests.runfolder.sealing import reseal

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()
PASSAGES_AND_PROMPT = ":scope ol summary, :scope > details > summary"
Driver = Any  # selenium may not be installed where the types are checked


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("there is no Chromium with its chromedriver on this machine")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def show(driver: Driver, path: Path, *, width: int = 1200, dark: bool = False) -> None:
    """Open a page at a width, in light or dark."""
    driver.get_log("browser")
    driver.get_log("performance")
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(path.as_uri())


def requests(driver: Driver) -> list[str]:
    """Return every address that was asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def choose(driver: Driver, identifier: str, value: str) -> int:
    """Set a filter as a user does; return how many questions it leaves on the page."""
    driver.execute_script(
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('change'));",
        identifier,
        value,
    )
    return len(driver.find_elements("css selector", "#list > li"))


def wait(driver: Driver, script: str) -> Any:
    """Return the value of a script as soon as it is true."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 10).until(lambda d: d.execute_script(script))


@pytest.fixture(scope="module")
def report(mixed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "mixed"
    shutil.copytree(mixed_home / "runs" / "mixed", folder)
    return write_report(folder).page


def test_it_opens_without_an_error_or_a_request(chromium: Driver, report: Path) -> None:
    show(chromium, report)
    assert wait(chromium, "return !document.getElementById('browser').hidden")
    assert requests(chromium) == [report.as_uri()]
    assert chromium.get_log("browser") == []


def test_filters_leave_the_questions_that_the_scores_say(chromium: Driver, report: Path) -> None:
    import pandas as pd

    scores = pd.read_parquet(report.parent / "scores" / "correct.parquet")
    show(chromium, report)
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
    assert "No question passes" in chromium.find_element("id", "status").text


def test_a_question_opens_by_keyboard_down_to_its_prompt(chromium: Driver, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    show(chromium, report)
    search = chromium.find_element("id", "search")
    search.send_keys("SCURVY")
    wait(chromium, "return document.querySelectorAll('#list > li').length === 3")
    choose(chromium, "task", "facts-written")
    choose(chromium, "arm", "bm25-2")
    summary = chromium.find_element("css selector", "#list summary")
    summary.send_keys(Keys.ENTER)
    wait(chromium, "return document.querySelectorAll('#list details details').length === 1")
    opened = chromium.find_element("css selector", "#list > li").text
    assert "Which disease is a lack of vitamin C" in opened
    assert opened.count("\N{CHECK MARK} right") >= 1
    chromium.find_element("css selector", "#list details details summary").send_keys(Keys.ENTER)
    wait(chromium, "return document.querySelectorAll('#list ol summary').length === 2")
    cell = chromium.find_element("css selector", "#list details details")
    assert "Reply:" in cell.text
    assert "d-scurvy \N{BLACK STAR} gold" in cell.text
    for element in cell.find_elements("css selector", PASSAGES_AND_PROMPT):
        element.send_keys(Keys.ENTER)
    wait(chromium, "return document.querySelectorAll('#list details details pre').length === 2")
    assert "scurvy is a lack of vitamin C, with bleeding gums" in cell.text
    records = report.parent / "records" / "scripted+facts-written+bm25-2.0.jsonl"
    first = json.loads(records.read_text(encoding="utf-8").splitlines()[0])
    assert first["question_id"] == "q-scurvy"
    prompts = (report.parent / "prompts" / "0.jsonl").read_text(encoding="utf-8").splitlines()
    texts = {line["digest"]: line["text"] for line in map(json.loads, prompts)}
    shown = cell.find_elements("css selector", "pre")[-1].get_property("textContent")
    assert shown == texts[first["prompt"]]
    assert chromium.get_log("browser") == []


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(chromium: Driver, report: Path, width: int, dark: bool) -> None:
    show(chromium, report, width=width, dark=dark)
    chromium.execute_script("document.querySelector('#list details').open = true")
    wait(chromium, "return document.querySelectorAll('#list details details').length > 0")
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    ink, paper = chromium.execute_script(
        "const s = getComputedStyle(document.body);"
        "return [s.color, s.backgroundColor].map(c => c.match(/[0-9.]+/g).slice(0, 3).map(Number))"
    )
    assert (sum(ink) > sum(paper)) == dark
    assert contrast(ink, paper) >= 7
    label = chromium.find_element("css selector", ".drawing .row text")
    assert label.value_of_css_property("font-size") == "13px"  # text does not shrink with it


def contrast(one: list[float], other: list[float]) -> float:
    """Return the contrast ratio of two colours. Source: WCAG 2.2, 1.4.6."""

    def luminance(colour: list[float]) -> float:
        parts = [c / 255 for c in colour]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_hostile_data_runs_nothing(chromium: Driver, hostile: Path) -> None:
    show(chromium, write_report(hostile).page)
    wait(chromium, "return !document.getElementById('browser').hidden")
    chromium.execute_script(
        "window.open_all = () => { const shut = document.querySelectorAll('details:not([open])');"
        "for (const d of shut) d.open = true; return shut.length === 0; }"
    )
    wait(chromium, "return window.open_all()")
    assert chromium.find_elements("css selector", "img, #list script") == []
    assert "onerror" in chromium.find_element("css selector", "#list pre").text
    assert len(requests(chromium)) == 1
    assert chromium.get_log("browser") == []


def test_pages_of_25_are_turned(chromium: Driver, mixed_copy: Path) -> None:
    """Give one task 54 more questions, and turn its pages."""
    many(mixed_copy, "facts", 10)
    show(chromium, write_report(mixed_copy).page)
    status = chromium.find_element("id", "status")
    seen = []
    for _ in range(4):
        seen.append(status.text)
        chromium.find_element("id", "next").click()
    assert seen == [
        "Questions 1 to 25 of 72 (72 in all)",
        "Questions 26 to 50 of 72 (72 in all)",
        "Questions 51 to 72 of 72 (72 in all)",
        "Questions 51 to 72 of 72 (72 in all)",
    ]
    chromium.find_element("id", "previous").click()
    assert status.text == seen[1]


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
