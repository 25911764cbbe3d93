"""Medical concepts that a reply and its reference share.

``umls_f1`` is CLUE's, with scispaCy's linker to the UMLS, about 1 GB. ``hpo_concept_f1`` needs no
download: it uses only the Human Phenotype Ontology, and has a name of its own in every table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Answered
from ragbench.metrics.text import overlap

SCISPACY = "en_core_sci_sm"
LONGEST = 10  # words of a term


def hpo_concept_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return the F-measure of the HPO terms that reply and reference name.

    Names and synonyms are matched word by word, the longest first, ignoring case; a match is used
    once. Terms of one word with fewer than four letters are skipped. NaN if the reference names
    none.
    """
    found = []
    for answered in answers:
        theirs = hpo_terms(answered.question.reference)
        mine = hpo_terms(answered.text)
        found.append(overlap(mine, theirs) if theirs else float("nan"))
    return found


def hpo_terms(text: str) -> set[str]:
    """Return the ids of the HPO terms that a text names.

    >>> sorted(hpo_terms("Seizures and a high blood pressure"))
    ['HP:0000822', 'HP:0001250']
    """
    words = _words(text)
    known = _dictionary()
    found: set[str] = set()
    place = 0
    while place < len(words):
        for size in range(min(LONGEST, len(words) - place), 0, -1):
            term = known.get(tuple(words[place : place + size]))
            if term is not None:
                found.add(term)
                place += size
                break
        else:
            place += 1
    return found


def _words(text: str) -> list[str]:
    return [word.removesuffix("s") for word in re.findall(r"[a-z0-9]+", text.casefold())]


@cache
def _dictionary() -> dict[tuple[str, ...], str]:
    """Return the term of each name and synonym; a name wins over a synonym of another term."""
    from ragbench.corpora.readers.hpo import HpoOptions, HpoReader, read_terms

    (path,) = HpoReader(None, HpoOptions()).sources()
    terms = read_terms(path)
    found: dict[tuple[str, ...], str] = {}
    for by_name in (False, True):  # later entries win
        for term in terms.values():
            texts = [term.name] if by_name else [s.text for s in term.synonyms]
            for text in texts:
                words = tuple(_words(text))
                if words and (len(words) > 1 or len(words[0]) > 3):
                    found[words] = term.id
    return found


def umls_f1(answers: Sequence[Answered], options: Mapping[str, Any]) -> list[float]:
    """Return CLUE's UMLS-F1: the F-measure of the canonical names of linked entities.

    An entity of en_core_sci_sm counts, with its best candidate's name, if the UMLS linker (with
    abbreviations resolved) has a candidate. The value is 0 if a text has no entity.

    Raises:
        PrerequisiteError: scispaCy or its model is not installed.
    """
    names: dict[str, set[str]] = {}
    pipeline = _scispacy()
    for answered in answers:
        for text in (answered.text, answered.question.reference):
            if text not in names:
                names[text] = _umls_names(pipeline, text)
    return [overlap(names[a.text], names[a.question.reference]) for a in answers]


@cache
def _scispacy() -> Any:
    try:
        import spacy
        from scispacy.abbreviation import AbbreviationDetector  # noqa: F401 - registers its pipe
        from scispacy.linking import EntityLinker  # noqa: F401 - registers its pipe

        pipeline = spacy.load(SCISPACY)
    except (ImportError, OSError):
        raise PrerequisiteError(
            "the metric umls_f1 needs scispaCy with its model en_core_sci_sm 0.5.4",
            fix="pip install scispacy==0.5.4, then its model from "
            "https://allenai.github.io/scispacy/; hpo_concept_f1 needs neither",
        ) from None
    pipeline.add_pipe("abbreviation_detector")
    pipeline.add_pipe(
        "scispacy_linker", config={"resolve_abbreviations": True, "linker_name": "umls"}
    )
    return pipeline


def _umls_names(pipeline: Any, text: str) -> set[str]:
    linker = pipeline.get_pipe("scispacy_linker")
    candidates = (entity._.kb_ents for entity in pipeline(text).ents)
    return {linker.kb.cui_to_entity[some[0][0]].canonical_name for some in candidates if some}
