"""The prompts of all writings, each after a paper.

A prompt is made of the question's text, and of its options if the config says ``options: shown``.
The right answer is no argument of any function here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragbench.experiment.config.written import Kind

WRITTEN_TEMPLATE = 1  # raised when a text in this file changes prompts


@dataclass(frozen=True, slots=True)
class Instruction:
    """How a kind of text is asked for.

    Attributes:
        system: System turn; ``{n}`` is the number of texts.
        request: Last line of the user turn.
        limit: Maximum tokens of the reply, unless the config names them.
        cue: Last line of a prompt in the plain format, which a base model continues.
    """

    system: str
    request: str
    limit: int
    cue: str = ""


QUERIES: Mapping[Kind, Instruction] = {
    # The model's reasoning is the query: RAG2 (arXiv 2411.00300), Kim et al. 2025 (2511.06738).
    "rationale": Instruction(
        "You are a medical expert. Reason step by step about what one must know to answer the "
        "question. Write one paragraph.",
        "Write the reasoning that leads to the answer.",
        256,
        "Reasoning:",
    ),
    # A hypothetical passage is the query: HyDE, Gao et al. 2022 (arXiv 2212.10496).
    "passage": Instruction(
        "You are a medical expert. Write one passage of a medical textbook.",
        "Write a passage that answers the question.",
        256,
        "Passage:",
    ),
    # Ma et al. 2023, "Query Rewriting for Retrieval-Augmented LLMs" (arXiv 2305.14283).
    "rewrite": Instruction(
        "You write queries for a search engine of medical literature. Reply with one query and "
        "nothing else.",
        "Write a query that finds the knowledge that the question needs.",
        64,
        "Query:",
    ),
    # Decomposition: RQ-RAG, Chan et al. 2024 (arXiv 2404.00610).
    "subquestions": Instruction(
        "You split a medical question into {n} simpler questions that can be looked up one by one. "
        "Reply with one question per line and nothing else.",
        "Write {n} simpler questions, one per line.",
        192,
        "Questions:",
    ),
}
# Passages from the model's own memory: GenRead, Yu et al. 2022 (arXiv 2209.10063), and MedGENIE,
# Frisoni et al. 2024 (arXiv 2403.01924).
PASSAGES = Instruction(
    "You are a medical expert. Write passages of background knowledge as in a medical textbook. "
    "Separate passages by an empty line.",
    "Write {n} passages that help to answer the question.",
    200,
    "Passages:",
)
# Follow-up queries in rounds, each answered from its passages: i-MedRAG, Xiong et al. 2024
# (arXiv 2408.00727).
ROUND = Instruction(
    "You look up what one must know to answer a medical question. Reply with at most {n} new "
    "follow-up questions, one per line, and nothing else. Reply with NONE if nothing more must be "
    "known.",
    "Write at most {n} follow-up questions that were not asked before, or NONE.",
    64,
    "Follow-up questions:",
)
FOLLOW_UP = Instruction(
    "You are a medical expert. Answer the question from the passages in one or two sentences. If "
    "they do not contain the answer, write so.",
    "Answer in one or two sentences.",
    96,
    "Answer:",
)
STOP = "none"  # the reply that ends the rounds of a question
# Evidence filter: Kim et al. 2025 (arXiv 2511.06738).
JUDGEMENT = Instruction(
    "You are a medical expert. Judge whether the passage contains knowledge that helps to answer "
    "the question.",
    "Does the passage help to answer the question?",
    0,
)
VERDICTS = ("yes", "no")


def user_text(
    asked: Instruction, text: str, options: Sequence[str], n: int = 1, *, earlier: str = ""
) -> str:
    """Return the user turn of a writing.

    Args:
        asked: The kind of text.
        text: The question's text.
        options: Its options, in their order; empty if they are hidden.
        n: Number of texts.
        earlier: What earlier rounds asked and found.
    """
    listed = "".join(f"\n- {option}" for option in options)
    shown = f"Options:{listed}" if listed else ""
    parts = [f"Question: {text}", shown, earlier, asked.request.format(n=n)]
    return "\n\n".join(filter(None, parts))
