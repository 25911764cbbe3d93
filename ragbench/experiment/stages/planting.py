"""Planted errors: mentions of the right answer in a passage, replaced by a wrong option.

It is done by string rules alone, so that no model judges: whole words, each mention, in its case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ragbench.base.files import sha256_text
from ragbench.base.records import ABSTAIN, UNANSWERABLE, Passage
from ragbench.base.words import plain

LEAST_CHARACTERS = 4  # a shorter answer, such as `no`, is in too many texts by chance
MARK = "~misled-"
ENDING = ".,;: "
# Options that speak of other options, and not of the matter.
REFERS = re.compile(r"(all|none|both|neither|either|any)\b.*\b(above|below|these|[a-e])$")


@dataclass(frozen=True, slots=True)
class Mentions:
    """The mentions of one answer.

    Attributes:
        answer: The answer as its option writes it, without a full stop.
        pattern: Its words, whole, in any case and with any blanks between them.
    """

    answer: str
    pattern: re.Pattern[str]

    def can_become(self, option: str) -> bool:
        """Say whether an option can be planted: it is about the matter, and is another answer."""
        words = plain(option)
        return (
            words not in ("", *map(plain, (self.answer, ABSTAIN, UNANSWERABLE)))
            and not REFERS.match(words)
            and not self.pattern.search(option)
        )

    def replaced(self, text: str, option: str) -> str:
        """Return a text in which every mention is an option, in the case of the mention."""
        planted = option.strip().rstrip(ENDING)
        return self.pattern.sub(lambda found: self._cased(found[0], planted), text)

    def planted(self, passage: Passage, option: str) -> Passage:
        """Return a passage with an option planted in title and text; itself without a mention.

        The id of the changed passage is that of the original with the digest of the new text, so
        that equal changes have one id and different ones have two.
        """
        title, text = (self.replaced(part, option) for part in (passage.title, passage.text))
        if (title, text) == (passage.title, passage.text):
            return passage
        digest = sha256_text(f"{title}\n{text}")[:8]
        return replace(passage, id=f"{passage.id}{MARK}{digest}", title=title, text=text)

    def _cased(self, mention: str, option: str) -> str:
        """Return an option in the case of a mention; as it is written if the answer is, too."""
        if " ".join(mention.split()) == self.answer:
            return option
        if mention.isupper() and len(mention) > 1:
            return option.upper()
        first = mention[0]
        if first.islower() and not _is_name(option.split()[0]):
            return option[0].lower() + option[1:]
        return option[0].upper() + option[1:] if first.isupper() else option


def mentions_of(answer: str) -> Mentions | None:
    """Return the mentions of an answer; None if it is too short to be searched for.

    An answer of fewer than four characters is searched for only if it has both letters and digits,
    such as the code E54.
    """
    kept = " ".join(answer.split()).rstrip(ENDING)
    is_code = any(c.isalpha() for c in kept) and any(c.isdigit() for c in kept)
    if len(kept) < LEAST_CHARACTERS and not is_code:
        return None
    words = r"\s+".join(map(re.escape, kept.split()))
    # A dot between digits is inside a word: E54 is not in E54.1, nor 5 mg in 2.5 mg.
    whole = rf"(?<![^\W_])(?<!\d\.){words}(?![^\W_])(?!\.\d)"
    return Mentions(kept, re.compile(whole, re.IGNORECASE))


def _is_name(word: str) -> bool:
    """Say whether a word keeps its capital inside a sentence: an abbreviation or a code."""
    return len(word) == 1 or any(c.isupper() or c.isdigit() for c in word[1:])
