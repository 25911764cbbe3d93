"""Texts without invisible characters and with letters and accents joined (NFC), and what changed.

Soft hyphens, zero-width spaces, marks of the writing direction and byte order marks split words
for every search and every tokenizer, and no reader sees them. Queries are cleaned in the same way
where a retriever reads them. Offsets of a question file are those of the source: the meta
field ``cut`` of a changed document holds what is missing in its text, and ``source_offset`` maps
back.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from ragbench.corpora.reader import Located

CUT = "cut"
COMPOSED = "with letters and accents joined (NFC)"
REMOVED = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)
# Scripts without spaces between words, in which a zero-width space parts them.
UNPARTED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
# Scripts and emoji in which a zero-width joiner or non-joiner shapes what is read.
SHAPED = (
    "\u0600-\u061b\u061d-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u180d\u180f-\u18af\u1a00-\u1c7f"
    "\u2600-\u27bf\ua8e0-\ua8ff\ufb50-\ufdff\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff"
)
KEPT = re.compile(
    f"(?<=[{UNPARTED}])\u200b|\u200b(?=[{UNPARTED}])"
    f"|(?<=[{SHAPED}])[\u200c\u200d]|[\u200c\u200d](?=[{SHAPED}])"
)
CONTINUES = re.compile("[\u1161-\u11ff]")  # the vowels and last consonants of Hangul


def cleaned(entry: Located) -> Located:
    """Return a passage with a cleaned title and text; cleaning it again changes nothing."""
    passage = entry.passage
    if passage.text.isascii() and passage.title.isascii():
        return entry
    counts: Counter[str] = Counter()
    title, _ = _clean(passage.title, counts)
    text, cut = _clean(passage.text, counts)
    if not counts:
        return entry
    meta = passage.meta | ({CUT: cut} if cut else {})
    fresh = replace(passage, title=title, text=text, meta=meta)
    return replace(entry, passage=fresh, changes=Counter(entry.changes) + counts)


def clean_query(text: str) -> str:
    """Return a query with its text cleaned as a passage's; cleaning it again changes nothing."""
    return text if text.isascii() else _clean(text, Counter())[0]


def source_offset(meta: Mapping[str, str], place: int) -> int:
    """Return the place in a document's source of a place in its cleaned text."""
    edits = (edit.partition(":") for edit in meta.get(CUT, "").split())
    return place + sum(int(missing) for at, _, missing in edits if int(at) <= place)


def _clean(text: str, counts: Counter[str]) -> tuple[str, str]:
    """Return a clean text, and ``PLACE:MISSING`` of each change, with its place in that text."""
    if unicodedata.is_normalized("NFC", text) and not REMOVED.search(text):
        return text, ""
    kept = {found.start() for found in KEPT.finditer(text)}
    parts: list[str] = []
    edits: list[str] = []
    size = 0
    for start, end in _clusters(text, kept):
        first = text[start] if start in kept else ""
        cluster = text[start + len(first) : end]
        counts.update(map(_named, REMOVED.findall(cluster)))
        composed = first + unicodedata.normalize("NFC", REMOVED.sub("", cluster))
        size += len(composed)
        if len(composed) != end - start:
            edits.append(f"{size}:{end - start - len(composed)}")
        parts.append(composed)
    joined = "".join(parts)
    if not unicodedata.is_normalized("NFC", REMOVED.sub("", text)):
        counts[COMPOSED] += 1
    return joined, " ".join(edits)


def _clusters(text: str, kept: set[int]) -> list[tuple[int, int]]:
    """Return the bounds of each character with the marks and removed characters after it."""
    starts = [
        place
        for place, character in enumerate(text)
        if place == 0
        or place in kept
        or not (
            unicodedata.category(character)[0] == "M"
            or CONTINUES.match(character)
            or REMOVED.match(character)
        )
    ]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def _named(character: str) -> str:
    name = unicodedata.name(character[0], "").lower()
    return f"U+{ord(character[0]):04X} {name}".strip() + ", removed"
