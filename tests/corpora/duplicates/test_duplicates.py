"""Repeated passages: against the texts themselves, and against all pairs by brute force."""

from __future__ import annotations

import gzip
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from ragbench.base.errors import DataError, UsageError
from ragbench.base.records import Passage
from ragbench.cli.corpus import corpus as corpus_commands
from ragbench.corpora.build import build_corpus
from ragbench.corpora.card import load_card, make_reader
from ragbench.corpora.duplicates.duplicates import (
    EXACT,
    META,
    NEAR,
    Deduplicated,
    Duplicates,
    normalised,
)
from ragbench.corpora.open import open_corpus
from ragbench.corpora.reader import Located, Reader, ReaderOptions, Skipped

AddCorpus = Callable[..., Path]
NOTES: list[dict[str, object]] = [
    {"id": "d1", "title": "A", "text": "Fever and cough."},
    {"id": "d2", "title": "A", "text": "Vertigo."},
    {"id": "d3", "title": "B", "text": " fever  AND\ncough. "},
    {"id": "d4", "title": "a", "text": "Fever and cough."},
    {"id": "d5", "title": "A", "text": "Ｖertigo."},  # noqa: RUF001  a full-width V
]


class Given:
    """A reader of passages that are at hand."""

    Options: ClassVar[type[ReaderOptions]] = ReaderOptions

    def __init__(self, entries: Sequence[Located | Skipped]) -> None:
        self.entries = entries

    def sources(self) -> list[Path]:
        return []

    def read(self) -> Iterator[Located | Skipped]:
        yield from self.entries


def located(texts: Sequence[str]) -> list[Located]:
    return [
        Located(Passage(f"p{i}", f"p{i}", "", text), f"here:{i}") for i, text in enumerate(texts)
    ]


def read(reader: Reader, **keys: object) -> list[Located | Skipped]:
    return list(Deduplicated(reader, Duplicates.model_validate(keys)).read())


def set_duplicates(home: Path, name: str, **keys: object) -> None:
    path = home / "corpora" / f"{name}.yaml"
    card = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(card | {"duplicates": keys}), encoding="utf-8")


def ids(name: str) -> list[str]:
    return [passage.id for passage in open_corpus(name)]


# -- equal texts ----------------------------------------------------------------------------


def test_the_first_in_source_order_stays(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    set_duplicates(home, "notes", exact="drop")
    manifest = build_corpus("notes").manifest
    assert ids("notes") == ["d1", "d2"]
    assert manifest.skipped == {"the text of an earlier passage": 3}
    entries = list(make_reader(*load_card("notes")).read())
    assert [(e.id, e.detail) for e in entries if isinstance(e, Skipped)] == [
        ("d3", "d1"),
        ("d4", "d1"),
        ("d5", "d2"),
    ]
    assert [Path(e.where).name for e in entries] == [f"notes.jsonl:{n}" for n in range(1, 6)]


def test_the_command_line_tells_the_counts(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    set_duplicates(home, "notes")
    for command in ("build", "show"):
        done = CliRunner().invoke(corpus_commands, [command, "notes"])
        assert done.exit_code == 0, done.output
        (line,) = [text for text in done.output.splitlines() if EXACT in text]
        assert "3" in line


def test_titles_count_where_the_card_says_so(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    set_duplicates(home, "notes", title=True)
    build_corpus("notes")
    assert ids("notes") == ["d1", "d2", "d3"]


def test_reported_passages_stay_and_name_the_earlier_one(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    set_duplicates(home, "notes", exact="report")
    corpus = build_corpus("notes")
    assert corpus.manifest.skipped == {}
    assert [passage.meta.get(META) for passage in corpus] == [None, None, "d1", "d1", "d2"]
    assert corpus.manifest.noted == {EXACT: 3}
    done = CliRunner().invoke(corpus_commands, ["build", "notes"])
    assert f"notes: kept 3 with {EXACT}" in done.output


def test_chunks_are_compared_as_they_are_indexed(home: Path, add_corpus: AddCorpus) -> None:
    texts = {"a": "Take it twice. Ask your doctor.", "b": "Do not take it. Ask your doctor."}
    add_corpus("notes", [{"id": key, "text": text} for key, text in texts.items()])
    path = home / "corpora" / "notes.yaml"
    path.write_text(path.read_text() + "chunking: {chunker: sentences, size: 18}\n")
    set_duplicates(home, "notes")
    corpus = build_corpus("notes")
    assert [(p.id, p.text.strip()) for p in corpus] == [
        ("a#0", "Take it twice."),
        ("a#1", "Ask your doctor."),
        ("b#0", "Do not take it."),
    ]


def test_medquad_has_598_repeated_texts_and_48_with_their_titles(shared_data: Path) -> None:
    with gzip.open(shared_data / "corpora" / "medquad.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    passages = [Passage(r["id"], r["id"], r["title"], r["text"]) for r in rows]
    source = Given([Located(p, p.id) for p in passages])
    assert len(rows) - len({p.text for p in passages}) == 596  # two more differ in blanks alone
    for title, count in ((False, 598), (True, 48)):
        keys = [" ".join(normal(f"{p.title} {p.text}" if title else p.text)) for p in passages]
        first: dict[str, str] = {}
        kept = [first.setdefault(key, p.id) for key, p in zip(keys, passages, strict=True)]
        expected = [(p.id, k) for p, k in zip(passages, kept, strict=True) if p.id != k]
        found = read(source, title=title)
        dropped = [(e.id, e.detail) for e in found if isinstance(e, Skipped)]
        assert dropped == expected
        assert len(found) == len(rows) == 16_407
        assert len(dropped) == count


def normal(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).lower().split()


# -- nearly equal texts ---------------------------------------------------------------------


def sets_of(texts: Sequence[str], width: int) -> list[set[tuple[str, ...]]]:
    found = []
    for text in texts:
        words = normal(text)
        found.append({tuple(words[i : i + width]) for i in range(max(1, len(words) - width + 1))})
    return found


def brute_force(texts: Sequence[str], threshold: float, width: int) -> dict[int, int]:
    """Return which earlier text each is nearly, by the similarity of all pairs."""
    sets, kept, like = sets_of(texts, width), list[int](), dict[int, int]()
    for number, own in enumerate(sets):
        for k in kept:
            both = len(own & sets[k])
            if both >= threshold * (len(own) + len(sets[k]) - both):
                like[number] = k
                break
        else:
            kept.append(number)
    return like


@pytest.fixture(scope="module")
def edited(shared_data: Path) -> list[str]:
    """Real passages, two copies of each with words changed here and there, mixed."""
    path = shared_data / "corpora" / "openstax_nutrition.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        passages = [json.loads(line)["text"] for line in file][:250]
    generator = np.random.default_rng(11)
    texts = list(passages)
    for passage in passages * 2:
        words = passage.split()
        for place in generator.choice(len(words), min(len(words), int(generator.integers(7)))):
            words[place] = str(generator.choice(["gout", "fever", words[0]]))
        texts.append(" ".join(words))
    return [texts[i] for i in generator.permutation(len(texts))]


@pytest.mark.parametrize(("threshold", "width"), [(0.9, 5), (0.7, 3), (0.5, 8)])
def test_near_duplicates_are_those_of_all_pairs(
    edited: list[str], threshold: float, width: int
) -> None:
    expected = brute_force(edited, threshold, width)
    found = read(
        Given(located(edited)), exact="off", near="drop", threshold=threshold, shingle=width
    )
    like = {i: int(e.detail[1:]) for i, e in enumerate(found) if isinstance(e, Skipped)}
    assert len(found) == len(edited)
    assert len(expected) > 100
    # A pair at the threshold itself is missed once in 1000.
    assert len(expected.items() - like.items()) <= 2
    sets = sets_of(edited, width)
    for one, other in like.items():
        assert len(sets[one] & sets[other]) >= threshold * len(sets[one] | sets[other])


def test_no_pair_below_the_threshold_is_dropped() -> None:
    words = [f"w{i}" for i in range(104)]  # 100 shingles of five words
    texts = [" ".join(words[:-n] + [f"x{i}" for i in range(n)]) for n in (1, 10, 11, 12, 30)]
    first = " ".join(words)
    for text in texts:
        (one, other) = sets_of([first, text], 5)
        similarity = len(one & other) / len(one | other)
        for threshold in (similarity, min(1, similarity + 1e-9)):
            found = read(Given(located([first, text])), near="drop", threshold=threshold)
            assert isinstance(found[1], Skipped) == (threshold == similarity)


@pytest.mark.parametrize(("few", "many"), [(14, 25), (17, 25), (17, 50)])
def test_a_text_within_another_is_at_the_threshold_either_way_round(few: int, many: int) -> None:
    words = [f"w{i}" for i in range(many)]
    texts = [" ".join(words[:few]), " ".join(words)]
    for order in (texts, texts[::-1]):
        (_, second) = read(Given(located(order)), near="drop", threshold=few / many, shingle=1)
        assert isinstance(second, Skipped)


def test_what_is_like_a_dropped_passage_only_stays() -> None:
    words = [f"w{i}" for i in range(60)]
    chain = [" ".join([f"x{i}" for i in range(n)] + words[n:]) for n in (0, 6, 12)]
    found = read(Given(located(chain)), near="drop", threshold=0.75)
    assert [type(entry) for entry in found] == [Located, Skipped, Located]


@pytest.mark.parametrize(
    ("exact", "near", "expected"),
    [
        ("drop", "drop", [None, (NEAR, "p0"), (NEAR, "p0"), (EXACT, "p0")]),
        ("drop", "report", [None, (NEAR, "p0"), (EXACT, "p1"), (EXACT, "p0")]),
        ("report", "drop", [None, (NEAR, "p0"), (NEAR, "p0"), (EXACT, "p0")]),
        ("off", "drop", [None, (NEAR, "p0"), (NEAR, "p0"), (NEAR, "p0")]),
        ("drop", "off", [None, None, (EXACT, "p1"), (EXACT, "p0")]),
    ],
)
def test_a_passage_is_named_that_is_in_the_corpus(
    exact: str, near: str, expected: list[tuple[str, str] | None]
) -> None:
    words = [f"w{i}" for i in range(60)]
    first, second = " ".join(words), " ".join(["x", *words[1:]])
    reader = Deduplicated(
        Given(located([first, second, second, first])),
        Duplicates.model_validate({"exact": exact, "near": near}),
    )
    actions = {EXACT: exact, NEAR: near}
    for entry, verdict in zip(reader.read(), expected, strict=True):
        if isinstance(entry, Skipped):
            assert (entry.reason, entry.detail) == verdict
            assert actions[entry.reason] == "drop"
        else:
            assert entry.passage.meta.get(META) == (verdict[1] if verdict else None)
            assert entry.noted == (verdict[0] if verdict else "")
            assert verdict is None or actions[verdict[0]] == "report"


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch, edited: list[str]) -> None:
    entries: list[Located | Skipped] = [*located(edited)]
    entries.insert(3, Skipped("no text", "there"))
    whole = read(Given(entries), near="report", threshold=0.7)
    monkeypatch.setattr("ragbench.corpora.duplicates.duplicates.BLOCK", 7)
    assert read(Given(entries), near="report", threshold=0.7) == whole
    assert whole[3] == Skipped("no text", "there")


# -- odd texts and mistakes -----------------------------------------------------------------


def test_texts_without_words_and_texts_that_are_none() -> None:
    entries = located(["\ud83d", "\ud83d", " ", "...", "a", "A "])
    found = read(Given(entries), near="drop")
    assert [isinstance(entry, Skipped) for entry in found] == [*[False] * 5, True]
    assert normalised(" \n") == ""


def test_half_a_surrogate_is_left_to_the_build(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", b'{"id": "a", "text": "\\ud83d"}\n')
    set_duplicates(home, "notes", near="drop")
    with pytest.raises(DataError, match="holds half of a surrogate pair"):
        build_corpus("notes")


def test_a_repeated_id_is_still_named_by_its_lines(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", [{"id": "d1", "text": "one"}, {"id": "d1", "text": "two"}])
    set_duplicates(home, "notes")
    with pytest.raises(DataError, match="the id 'd1' appears 2 times"):
        build_corpus("notes")


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"exact": "off"}, "exact and near are both off"),
        ({"near": "maybe"}, "`near` takes one of 'drop', 'report', 'off'"),
        ({"near": "drop", "threshold": 0.1}, "takes a number of at least 0.3"),
        ({"near": "drop", "shingle": 0}, "takes a number of at least 1"),
        ({"nearly": "drop"}, "there is no key 'nearly'"),
    ],
)
def test_a_mistake_is_named(
    home: Path, add_corpus: AddCorpus, keys: dict[str, object], what: str
) -> None:
    add_corpus("notes", NOTES, title_field="title")
    set_duplicates(home, "notes", **keys)
    with pytest.raises(UsageError) as caught:
        load_card("notes")
    assert what in caught.value.what


def test_off_needs_no_quotes(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    card = home / "corpora" / "notes.yaml"
    text = card.read_text(encoding="utf-8")
    card.write_text(f"{text}duplicates: {{exact: off, near: drop}}\n", encoding="utf-8")
    assert load_card("notes")[0].duplicates == Duplicates(exact="off", near="drop")
    card.write_text(f"{text}duplicates: {{exact: off}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="exact and near are both off"):
        load_card("notes")


def test_the_digest_of_the_card_follows(home: Path, add_corpus: AddCorpus) -> None:
    add_corpus("notes", NOTES, title_field="title")
    digests = {load_card("notes")[0].digest()}
    for keys in ({"exact": "drop"}, {"exact": "report"}, {"near": "drop"}, {"title": True}):
        set_duplicates(home, "notes", **keys)
        digests.add(load_card("notes")[0].digest())
    set_duplicates(home, "notes", threshold=0.8)  # near is off
    digests.add(load_card("notes")[0].digest())
    assert len(digests) == 5
