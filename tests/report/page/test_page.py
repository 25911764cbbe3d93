"""The page: equal to the tables, closed to the outside, deaf to what its data says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from ragbench.report.page.page import page
from ragbench.report.sections import sections
from ragbench.report.write import write_report
from tests.conftest import FACTS
from tests.report.conftest import ATTACK, MODEL, Analysed, analysed
from tests.report.reading import Element, data, read, tables
from tests.runfolder.sealing import reseal


def page_of(path: Path) -> str:
    found = analysed(path)
    return page(found.run, found.head, found.effects, found.parts)


@pytest.fixture(scope="module")
def made(mixed: Analysed) -> str:
    return page(mixed.run, mixed.head, mixed.effects, mixed.parts)


def elements(root: Element) -> list[Element]:
    return [found for child in root.children for found in [child, *elements(child)]]


def test_nothing_is_requested_from_outside(made: str) -> None:
    for element in elements(read(made)):
        for name, value in element.attributes.items():
            if name in ("src", "href", "action", "data", "srcset", "poster", "xlink:href"):
                assert value.startswith("#"), f"{element.tag} {name}={value}"
            assert not name.startswith("on")
            assert name != "style"
        assert element.tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
    style = read(made).all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_names_the_style_and_the_script_by_their_hashes(made: str) -> None:
    root = read(made)
    (policy,) = [
        meta.attributes["content"]
        for meta in root.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    scripts = [s for s in root.all("script") if s.attributes.get("type") != "application/json"]
    for rule, inline in (("style-src", root.all("style")), ("script-src", scripts)):
        (element,) = inline
        digest = hashlib.sha256(element.text.encode()).digest()
        assert rules.pop(rule) == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert rules == {"default-src": "'none'", "base-uri": "'none'", "form-action": "'none'"}


def test_the_tables_hold_the_figures_of_the_csv_files(made: str, mixed_home: Path) -> None:
    folder = mixed_home / "runs" / "mixed"
    found, seen = pd.read_csv(folder / "results.csv"), tables(read(made))
    header, *rows = seen["Accuracy, and the gain over closed-book"]
    accuracies = found[found.metric == "accuracy"]
    wanted = {(cell.task, cell.arm): cell for _, cell in accuracies.iterrows()}
    assert {(row[0], row[1]) for row in rows} == set(wanted)
    assert len(rows) == len(wanted)
    for row in rows:
        cell = wanted[row[0], row[1]]
        assert row[header.index("accuracy")] == f"{100 * cell.value:.1f} %"
        interval = row[header.index("95 % interval")]  # the first of two
        assert interval == f"{100 * cell.ci_low:.1f} % to {100 * cell.ci_high:.1f} %"
    header, *rows = seen["Outcomes"]
    for row in rows:
        mine = found[(found.task == row[0]) & (found.arm == row[1])]
        rates = mine.set_index("metric")["value"]
        for name in ("parsed", "unparsed", "refused", "truncated", "error"):
            if name in header:
                assert row[header.index(name)] == f"{100 * rates[f'{name}_rate']:.1f} %"
    gains = pd.read_csv(folder / "effects.csv")
    for kind, part in gains.groupby("effect"):
        header, *rows = seen[str(kind).capitalize()]
        shown = [float(row[header.index("points")]) for row in rows]
        assert sorted(shown) == pytest.approx(sorted(100 * part.estimate), abs=0.0501)


def test_an_effect_that_the_page_has_never_seen_gets_its_part(mixed: Analysed) -> None:
    run, found = mixed.run, mixed.effects
    new = found[found.effect == "headroom with gold delivered"].assign(effect="interaction")
    found = pd.concat([found, new], ignore_index=True)
    made = read(page(run, mixed.head, found, list(sections(run, mixed.results, found))))
    assert "Interaction" in [heading.text for heading in made.all("h3")]
    assert len(tables(made)["Interaction"]) == len(new) + 1  # averages over tasks too
    assert "Interaction on facts" in [title.text for title in made.all("title")]


def test_every_question_is_there_with_its_parts(made: str) -> None:
    blocks = data(read(made))
    core = json.loads(blocks["data-core"])
    names = {f"q-{name}" for name in list(FACTS)[:6]}
    assert [set(task["ids"]) for task in core["tasks"]] == [names] * 3
    assert set(blocks) == {"data-core", "data-texts", "data-passages", "data-prompts"}


def test_headings_captions_and_labels_serve_readers_by_ear(made: str) -> None:
    root = read(made)
    assert root.all("html")[0].attributes["lang"] == "en"
    assert len(root.all("h1")) == 1
    ids = [e.attributes["id"] for e in elements(root) if "id" in e.attributes]
    assert len(set(ids)) == len(ids)
    for element in elements(root):
        for name in ("aria-labelledby", "href"):
            for target in element.attributes.get(name, "").split():
                assert target.removeprefix("#") in ids
    for table in root.all("table"):
        assert table.all("caption")[0].text
        assert all("scope" in th.attributes for th in table.all("th"))
    for svg in root.all("svg"):
        if svg.attributes.get("role") == "img":
            assert svg.children[0].tag == "title"
            assert svg.children[1].tag == "desc"
    controls = [*root.all("select"), *root.all("input")]
    labelled = [c for label in root.all("label") for c in label.children]
    assert all(any(control is c for c in labelled) for control in controls)
    assert root.all("noscript")[0].text.strip()


def test_hostile_data_stays_text(hostile: Path) -> None:
    write_report(hostile)
    made = (hostile / "report.html").read_text(encoding="utf-8")
    root = read(made)
    assert root.all("img") == []
    assert len(root.all("script")) == 5
    assert MODEL in root.all("h3")[0].text  # the card's title
    assert ATTACK[:-2] in root.all("header")[0].text
    assert "49" not in root.all("header")[0].text
    texts = json.loads(data(root)["data-texts"])
    assert all(text.startswith(ATTACK) for task in texts for text in task["text"])
    assert ATTACK[:-2] in texts[0]["cells"][0]["reasoning"][0]
    for block in data(root).values():
        assert not re.search("[<>&\u2028\u2029]", block)


@pytest.mark.parametrize("what", ["task", "corpus"])
def test_a_restricted_run_shows_no_text(mixed_copy: Path, what: str) -> None:
    about = json.loads((mixed_copy / "run.json").read_text(encoding="utf-8"))
    if what == "task":
        about["identity"]["tasks"]["facts"]["data_use"] = "restricted"
    else:
        about["identity"]["corpora"]["facts"]["data_use"] = "restricted"
    (mixed_copy / "run.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(mixed_copy)
    made = page_of(mixed_copy)
    for name, text in FACTS.items():
        assert text not in made
        assert f'"{name}"' not in made  # as an option
    assert "Which disease" not in made
    assert f"{what} facts" in read(made).all("header")[0].text
    assert set(data(read(made))) == {"data-core"}
    assert "q-scurvy" in made


def test_what_is_left_out_is_said(
    mixed_home: Path, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(len(block) for block in data(read(made)).values())
    from ragbench.report.page import page as module
    from ragbench.report.page.browse import Browser, browser

    def tight(run: object) -> Browser:
        return browser(run, limit=size - 1)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "browser", tight)
    small = read(page_of(mixed_home / "runs" / "mixed"))
    (note,) = [p.text for p in small.all("p") if p.attributes.get("id") == "left-out"]
    assert "20 MB: prompts." in note
    assert "ragbench show mixed QUESTION_ID" in note
    assert "data-prompts" not in data(small)
