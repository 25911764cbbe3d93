"""Tasks: where questions come from, how they are put, and what their answers are.

task         the protocol, and what every task states about itself
files        the base of tasks whose questions are in a file
replies      reply readers: what a written reply answers
clue         the six tasks of CLUE
mcq          multiple-choice questions of the user's own
generation   questions of the user's own whose answers are texts
cases        case challenges of NEJM and JAMA, which you bring
mirage       MIRAGE's sets: one format and a table
mirage_file  MIRAGE's benchmark file
pubmedqa     yes, no or maybe to the question of an abstract
icd10cm      diagnosis <-> code, generated from the tabular list: a positive control
codelist     older lists of ICD-10-CM codes, to ask for codes added since
hpo          definition or lay synonym -> term of the Human Phenotype Ontology: a positive control
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ragbench.base.registry import Entry, Registry

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
        "generation": Entry(
            "ragbench.tasks.generation:GenerationTask",
            "your own questions with texts as answers: JSONL {id, question, reference, context?}",
        ),
        "nejm": Entry(
            "ragbench.tasks.cases:NejmTask",
            "NEJM cases: diagnosis or management (copyrighted; you bring the file)",
        ),
        "jama": Entry(
            "ragbench.tasks.cases:JamaTask",
            "JAMA clinical challenges: what to do next (copyrighted; you bring the file)",
        ),
        "mmlu_med": Entry(
            "ragbench.tasks.mirage:MmluMedTask", "MMLU's six medical subjects (MIRAGE)"
        ),
        "medqa_us": Entry(
            "ragbench.tasks.mirage:MedqaUsTask", "MedQA: US licensing examination (MIRAGE)"
        ),
        "medmcqa": Entry(
            "ragbench.tasks.mirage:MedmcqaTask", "MedMCQA: Indian entrance examinations (MIRAGE)"
        ),
        "bioasq_yn": Entry(
            "ragbench.tasks.mirage:BioasqYnTask",
            "BioASQ: yes or no, with gold articles (MIRAGE; you bring the file)",
        ),
        "pubmedqa": Entry(
            "ragbench.tasks.pubmedqa:PubmedqaTask",
            "PubMedQA (PQA-L): yes, no or maybe; the abstract can only be retrieved",
        ),
        "mednli": Entry(
            "ragbench.tasks.clue.mednli:MednliTask",
            "MedNLI: entailment, contradiction or neutral (CLUE level 1; restricted)",
        ),
        "meqsum": Entry(
            "ragbench.tasks.clue.meqsum:MeqsumTask",
            "MeQSum: a health inquiry as one question (CLUE level 1)",
        ),
        "problem_list": Entry(
            "ragbench.tasks.clue.problem_list:ProblemListTask",
            "ProbSum: the active problems of a progress note (CLUE level 1; restricted)",
        ),
        "longhealth1": Entry(
            "ragbench.tasks.clue.longhealth:Longhealth1Task",
            "LongHealth 1: questions on a patient's own documents (CLUE level 2)",
        ),
        "longhealth2": Entry(
            "ragbench.tasks.clue.longhealth:Longhealth2Task",
            "LongHealth 2: with documents of other patients among them (CLUE level 2)",
        ),
        "longhealth3": Entry(
            "ragbench.tasks.clue.longhealth:Longhealth3Task",
            "LongHealth 3: of other patients' documents alone, not answerable (CLUE level 2)",
        ),
        "medisumqa": Entry(
            "ragbench.tasks.clue.medisumqa:MedisumqaTask",
            "MeDiSumQA: a patient's question on a discharge letter (CLUE level 2; restricted)",
        ),
        "medisumcode": Entry(
            "ragbench.tasks.clue.medisumcode:MedisumcodeTask",
            "MeDiSumCode: ICD-10-CM codes of a discharge summary (CLUE level 2; restricted)",
        ),
        "hpo": Entry(
            "ragbench.tasks.hpo:HpoTask",
            "HPO: definition or lay synonym to term (generated; a positive control)",
        ),
    },
    source=__file__,
)
