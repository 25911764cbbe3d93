"""Tasks: where questions come from, how they are put, and what their answers are.

task     the protocol, and what every task states about itself
answers  what a written reply answers
hpo      definition or lay synonym -> term of the Human Phenotype Ontology: a positive control
icd10cm  diagnosis <-> code, generated from the tabular list: a positive control
mcq      multiple-choice questions of the user's own
pubmedqa yes, no or maybe to the question of an abstract
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.registry import Entry, Registry

if TYPE_CHECKING:
    from ragbench.tasks.task import Task

tasks: Registry[type[Task]] = Registry(
    "tasks",
    {
        "icd10cm": Entry(
            "ragbench.tasks.icd10cm:Icd10cmTask",
            "ICD-10-CM: diagnosis to code and code to diagnosis (generated; a positive control)",
        ),
        "mcq": Entry(
            "ragbench.tasks.mcq:McqTask",
            "your own questions: JSONL {id, question, options, answer, context?, gold_doc_ids?}",
        ),
        "pubmedqa": Entry(
            "ragbench.tasks.pubmedqa:PubmedqaTask",
            "PubMedQA (PQA-L): yes, no or maybe; the abstract can only be retrieved",
        ),
        "hpo": Entry(
            "ragbench.tasks.hpo:HpoTask",
            "HPO: definition or lay synonym to term (generated; a positive control)",
        ),
    },
    source=__file__,
)
