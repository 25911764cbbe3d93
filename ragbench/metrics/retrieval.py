"""Retrieval quality against gold passages, computed by ir-measures.

Gold ids match passage ids if any of them does, else document ids; a document's rank is that of its
best passage. A query without hits scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from subprocess import SubprocessError
from typing import Any

from ragbench.base.errors import UsageError, first_line

MOST = 10**9


def per_query(
    measures: Sequence[str],
    gold: Mapping[str, Sequence[str] | Mapping[str, int]],
    ranked: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Return each measure of each query with gold: value by query id, by ir-measures' name.

    Only the order of ``ranked`` counts: it is passed on as falling scores, because trec_eval would
    break ties in its own way.

    Args:
        measures: Names such as ``R@5`` or ``RR``.
        gold: Relevant ids, or grades by id, by query id; queries without any are skipped.
        ranked: Retrieved ids by query id, best first; a repeat counts at its first rank.

    Raises:
        UsageError: A name is not a measure, or the measure cannot be computed here.
    """
    import ir_measures
    from ir_measures import Qrel, ScoredDoc

    parsed = [parse(name) for name in measures]
    qrels = [
        Qrel(query, doc, grade)
        for query, docs in gold.items()
        for doc, grade in (docs if isinstance(docs, Mapping) else dict.fromkeys(docs, 1)).items()
    ]
    run = [
        ScoredDoc(query, doc, -float(rank))
        for query in gold
        for rank, doc in enumerate(dict.fromkeys(ranked.get(query, ())))
    ]
    values = {
        str(measure): dict.fromkeys((q for q, d in gold.items() if d), 0.0) for measure in parsed
    }
    try:
        for found in ir_measures.iter_calc(parsed, qrels, run):
            values[str(found.measure)][found.query_id] = float(found.value)
    except (AssertionError, ValueError, OSError, SubprocessError, RuntimeError) as error:
        raise UsageError(
            f"ir-measures cannot compute {', '.join(map(str, parsed))}: {first_line(error)}",
            fix="measures such as nDCG@10, R@5, P@5, RR@10, AP need no other program",
        ) from None
    return values


def parse(name: str) -> Any:
    """Return ir-measures' object of a name such as ``nDCG@10``; its text is ir-measures' spelling.

    Raises:
        UsageError: ir-measures has no such measure.
    """
    import ir_measures

    try:
        measure = ir_measures.parse_measure(name)
        # trec_eval ends the process at a cutoff of 0, and changes large numbers.
        for key in measure.params.keys() & {"cutoff", "rel"}:
            if isinstance(measure.params[key], int) and not 0 < measure.params[key] <= MOST:
                raise ValueError(f"its {key} is not from 1 to {MOST:,}")
    except (ValueError, NameError, TypeError, AssertionError, RecursionError) as error:
        raise UsageError(
            f"{name!r} is not a measure: {first_line(error)}",
            fix="write it as ir-measures does, such as nDCG@10, R@5, P@5, RR@10 or AP",
        ) from None
    return measure


def depth_of(name: str) -> int:
    """Return the number of hits that a measure uses; 0 for all, or if it states no number."""
    cutoff = parse(name).params.get("cutoff")
    return cutoff if isinstance(cutoff, int) else 0
