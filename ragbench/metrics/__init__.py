"""Metrics of single answers (registered) and of retrieval (named as in ir-measures).

metric     the protocol of a metric
bertscore  BERTScore with any local encoder
choice     picks by log-likelihood, and their accuracy
codes      lists of ICD-10-CM codes
concepts   shared terms of the UMLS or of the HPO
likelihood probabilities of options
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
        "accuracy": Entry("ragbench.metrics.choice:accuracy", "1 if the picked option is right"),
        "accuracy_sum": Entry(
            "ragbench.metrics.choice:accuracy_sum",
            "1 if the option with the highest log-likelihood is right, lengths not normalised",
        ),
        "over_refusal": Entry(
            "ragbench.metrics.choice:over_refusal",
            "1 if an answerable question is called unanswerable (LongHealth; lower is better)",
        ),
        "hallucination": Entry(
            "ragbench.metrics.choice:hallucination",
            "1 if an unanswerable question is answered (LongHealth; lower is better)",
        ),
        "brier": Entry(
            "ragbench.metrics.likelihood:brier",
            "squared error of the options' probabilities (lower is better)",
        ),
        "exact_match": Entry(
            "ragbench.metrics.text:exact_match",
            "1 if reply and reference have the same words, ignoring case and punctuation",
        ),
        "rouge1": Entry("ragbench.metrics.text:rouge1", "F1 of common words with the reference"),
        "rouge2": Entry("ragbench.metrics.text:rouge2", "F1 of common word pairs"),
        "rougeL": Entry(
            "ragbench.metrics.text:rougeL", "F1 of the longest common subsequence of words"
        ),
        "bertscore_f1": Entry(
            "ragbench.metrics.bertscore:bertscore_f1",
            "F1 of matched token vectors (needs an encoder in `metrics`)",
        ),
        "umls_f1": Entry(
            "ragbench.metrics.concepts:umls_f1", "F1 of shared UMLS concepts (needs scispaCy)"
        ),
        "hpo_concept_f1": Entry(
            "ragbench.metrics.concepts:hpo_concept_f1", "F1 of shared HPO terms"
        ),
        "problem_f1": Entry("ragbench.metrics.text:problem_f1", "F1 of the problems in a list"),
        "code_em_f1": Entry("ragbench.metrics.codes:code_em_f1", "F1 of exact ICD-10-CM codes"),
        "code_ap_f1": Entry(
            "ragbench.metrics.codes:code_ap_f1", "F1 of three-character categories"
        ),
        "code_valid": Entry(
            "ragbench.metrics.codes:code_valid", "share of the reply's codes that exist"
        ),
        "code_billable": Entry(
            "ragbench.metrics.codes:code_billable", "share of the reply's codes that are billable"
        ),
        "code_hits": Entry(
            "ragbench.metrics.codes:code_hits", "number of right codes in the reply"
        ),
        "code_named": Entry("ragbench.metrics.codes:code_named", "number of codes in the reply"),
        "code_gold": Entry("ragbench.metrics.codes:code_gold", "number of codes in the reference"),
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
