"""Retrieval quality against gold passages, computed by ir-measures.

Gold ids match passage ids if any of them does, else document ids, where a document's rank is
that of its best passage. A query without hits scores 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def per_query(
    measures: Sequence[str],
    gold: Mapping[str, Sequence[str]],
    ranked: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, float]]:
    """Return each measure of each query that has gold.

    The order of ``ranked`` is what counts: it goes to the evaluator as falling scores, because
    trec_eval would break tied scores in its own way.

    Args:
        measures: Names such as ``R@5`` or ``RR``.
        gold: Relevant ids by query id; queries without any are left out.
        ranked: Retrieved ids by query id, best first; repeats count at their first place.

    Returns:
        Value by query id, by measure name as ir-measures writes it.
    """
    import ir_measures
    from ir_measures import Qrel, ScoredDoc

    parsed = [ir_measures.parse_measure(name) for name in measures]
    qrels = [Qrel(query, doc, 1) for query, docs in gold.items() for doc in dict.fromkeys(docs)]
    run = [
        ScoredDoc(query, doc, -float(rank))
        for query in gold
        for rank, doc in enumerate(dict.fromkeys(ranked.get(query, ())))
    ]
    values = {
        str(measure): dict.fromkeys((q for q, d in gold.items() if d), 0.0) for measure in parsed
    }
    for found in ir_measures.iter_calc(parsed, qrels, run):
        values[str(found.measure)][found.query_id] = float(found.value)
    return values
