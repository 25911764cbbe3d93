"""The page in a real browser: it works, it fits, it asks for nothing, it obeys no data."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest

from ragbench.report.write import write_report
from tests.report.browsing import Driver, find_all, requests, show, wait


def test_it_opens_without_an_error_or_a_request(chromium: Driver, mixed_page: Path) -> None:
    show(chromium, mixed_page)
    groups = find_all(chromium, "details.group")
    assert [bool(group.get_property("open")) for group in groups] == [True] + [False] * (
        len(groups) - 1
    )
    assert find_all(chromium, ".entry") == []  # questions are read when their part is opened
    show(chromium, mixed_page, whole=True)
    assert requests(chromium) == [mixed_page.as_uri()]
    assert chromium.get_log("browser") == []


def test_the_answer_is_on_the_first_screen(chromium: Driver, mixed_page: Path) -> None:
    for width, height in ((1280, 800), (768, 1024), (360, 740)):
        show(chromium, mixed_page, width=width)
        below = chromium.execute_script(
            "return ['.headline', '.numbers .value'].map("
            "s => document.querySelector(s).getBoundingClientRect().bottom)"
        )
        assert max(below) <= height


def test_a_link_opens_the_part_that_it_names(chromium: Driver, mixed_page: Path) -> None:
    chromium.get("about:blank")
    chromium.get(mixed_page.as_uri() + "#methods")
    assert wait(chromium, "return document.getElementById('methods').open")
    chromium.find_element("id", "open-all").click()
    wait(chromium, "return !document.querySelector('details.group:not([open])')")
    assert chromium.find_element("id", "open-all").text == "Close all parts"


def rows(driver: Driver, caption: str) -> list[list[str]]:
    """Return the rows of a table that the page shows."""
    found: list[list[str]] = driver.execute_script(
        "const table = [...document.querySelectorAll('table.figures')]"
        ".find(t => t.caption.textContent === arguments[0]);"
        "return [...table.tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))",
        caption,
    )
    return found


GAINS = "Gain over closed-book"
BOX = "document.querySelector('[aria-label=\"Filter the rows of Gain over closed-book\"]')"


def test_tables_are_shortened_filtered_and_sorted(chromium: Driver, mixed_page: Path) -> None:
    show(chromium, mixed_page, whole=True)
    first = rows(chromium, GAINS)
    assert len(first) == 20
    section = f"{BOX}.closest('section')"
    more = f"{section}.querySelector('.more')"
    said = chromium.execute_script(f"return {more}.textContent")
    chromium.execute_script(f"{more}.click()")
    whole = rows(chromium, GAINS)
    assert said == f"Show all {len(whole)} rows"
    assert whole[:20] == first
    assert not any(row[0] == "(items)" for row in whole)
    chromium.execute_script(f"{section}.querySelector('[type=checkbox]').click()")
    assert any(row[0] == "(items)" for row in rows(chromium, GAINS))
    chromium.execute_script(
        f"const box = {BOX}; box.value = 'HYBRID (macro)'; box.dispatchEvent(new Event('input'))"
    )
    kept = rows(chromium, GAINS)
    assert kept == [row for row in whole if "hybrid" in row and "(macro)" in row]
    chromium.execute_script(
        f"const box = {BOX}; box.value = ''; box.dispatchEvent(new Event('input'));"
        f"{section}.querySelector('[type=checkbox]').click()"
    )
    head = f"[...{section}.querySelectorAll('thead th')].find(t => /^points/.test(t.textContent))"
    place = chromium.execute_script(f"return {head}.cellIndex")
    wanted = sorted((float(row[place]) for row in whole if row[place] != "-"), reverse=True)
    for said, order in (("descending", wanted), ("ascending", wanted[::-1])):
        chromium.execute_script(f"{head}.querySelector('button').click()")
        assert chromium.execute_script(f"return {head}.ariaSort") == said
        shown = [row[place] for row in rows(chromium, GAINS)]
        assert [float(value) for value in shown if value != "-"] == order
        assert "-" not in shown[: len(order)]
    chromium.execute_script(f"{head}.querySelector('button').click()")
    assert rows(chromium, GAINS) == whole


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_and_can_be_read(
    chromium: Driver, mixed_page: Path, width: int, dark: bool
) -> None:
    show(chromium, mixed_page, width=width, dark=dark, whole=True)
    assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    cut = chromium.execute_script(
        "return [...document.querySelectorAll('table')].filter(t => t.closest('.scroll') === null"
        " && t.getBoundingClientRect().right > innerWidth).length"
    )
    assert cut == 0
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


@pytest.mark.slow
def test_paper_has_every_part(chromium: Driver, mixed_page: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    show(chromium, mixed_page)
    made = chromium.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"]
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(made))).pages
    text = " ".join(" ".join(page.extract_text().split()) for page in pages)
    for part in ("Retrieval quality", "Leakage", "Provenance", "McNemar"):
        assert part in text
    assert "Show all" not in text
    groups = find_all(chromium, "details.group")
    assert sum(bool(group.get_property("open")) for group in groups) == 1  # as it was


def test_hostile_data_runs_nothing(chromium: Driver, hostile: Path) -> None:
    show(chromium, write_report(hostile).page, whole=True)
    chromium.execute_script(
        "window.open_all = () => { const shut = document.querySelectorAll('details:not([open])');"
        "for (const d of shut) d.open = true; return shut.length === 0; }"
    )
    wait(chromium, "return window.open_all()")
    assert find_all(chromium, "img, #browser script") == []
    assert "onerror" in chromium.find_element("css selector", "#question pre").text
    assert len(requests(chromium)) == 1
    assert chromium.get_log("browser") == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_serious(
    chromium: Driver, mixed_page: Path, width: int, dark: bool
) -> None:
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    script = (Path(axe.__path__[0]) / "axe.min.js").read_text(encoding="utf-8")
    show(chromium, mixed_page, width=width, dark=dark, whole=True)
    chromium.execute_script(script)
    chromium.set_script_timeout(60)
    found = chromium.execute_async_script(
        "const done = arguments[0];"
        "axe.run().then(r => done(r.violations.map(v => [v.impact, v.id, v.nodes[0].html])))"
    )
    assert [line for line in found if line[0] in ("serious", "critical")] == []
