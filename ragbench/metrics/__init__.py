"""Metrics of single answers (registered) and of retrieval (named as ir-measures writes them).

metric     what a metric is
bertscore  BERTScore with any local encoder
choice     picks by log-likelihood, and their accuracy
codes      lists of ICD-10-CM codes
concepts   terms of the UMLS or of the HPO that texts share
likelihood how sure a model was
text       ROUGE, and lists of problems
retrieval  recall@k of gold passages, by ir-measures
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.metrics.metric import Metric

metrics: Registry[Metric] = Registry(
    "metrics",
    {
        "accuracy": Entry(
            "ragbench.metrics.choice:accuracy", "1 where the picked option is the right one"
        ),
        "accuracy_sum": Entry(
            "ragbench.metrics.choice:accuracy_sum",
            "1 where the option of the highest log-likelihood is right, whatever its length",
        ),
        "over_refusal": Entry(
            "ragbench.metrics.choice:over_refusal",
            "answerable, but called unanswerable (LongHealth; lower is better)",
        ),
        "hallucination": Entry(
            "ragbench.metrics.choice:hallucination",
            "unanswerable, but answered (LongHealth; lower is better)",
        ),
        "brier": Entry(
            "ragbench.metrics.likelihood:brier",
            "squared distance of the options' probabilities from the right one (lower is better)",
        ),
        "exact_match": Entry(
            "ragbench.metrics.text:exact_match", "the reference's words, case and marks apart"
        ),
        "rouge1": Entry("ragbench.metrics.text:rouge1", "common words with the reference, F"),
        "rouge2": Entry("ragbench.metrics.text:rouge2", "common pairs of words, F"),
        "rougeL": Entry("ragbench.metrics.text:rougeL", "longest common subsequence, F"),
        "bertscore_f1": Entry(
            "ragbench.metrics.bertscore:bertscore_f1",
            "greedy matches of token vectors, F (needs an encoder in `metrics`)",
        ),
        "umls_f1": Entry(
            "ragbench.metrics.concepts:umls_f1", "shared UMLS concepts, F (needs scispaCy)"
        ),
        "hpo_concept_f1": Entry(
            "ragbench.metrics.concepts:hpo_concept_f1", "shared terms of the HPO, F"
        ),
        "problem_f1": Entry(
            "ragbench.metrics.text:problem_f1", "problems of a list that are the reference's, F"
        ),
        "code_em_f1": Entry("ragbench.metrics.codes:code_em_f1", "exact ICD-10-CM codes, F"),
        "code_ap_f1": Entry("ragbench.metrics.codes:code_ap_f1", "three-character categories, F"),
        "code_valid": Entry("ragbench.metrics.codes:code_valid", "named codes that exist"),
        "code_billable": Entry(
            "ragbench.metrics.codes:code_billable", "named codes that are billable"
        ),
        "code_hits": Entry("ragbench.metrics.codes:code_hits", "how many codes are right"),
        "code_named": Entry("ragbench.metrics.codes:code_named", "how many codes are named"),
        "code_gold": Entry("ragbench.metrics.codes:code_gold", "how many codes there are"),
        "clue_code_em_f1": Entry(
            "ragbench.metrics.codes:clue_code_em_f1", "exact codes as CLUE counts them"
        ),
        "clue_code_ap_f1": Entry(
            "ragbench.metrics.codes:clue_code_ap_f1", "categories as CLUE counts them"
        ),
        "clue_code_valid": Entry(
            "ragbench.metrics.codes:clue_code_valid", "valid codes as CLUE counts them"
        ),
    },
    source=__file__,
)
