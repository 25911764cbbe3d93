"""Retrieval-augmented evaluation for medicine.

The floors of the package, lowest first; a module imports only from floors below its own:

    errors, files, home, records, registry, progress, provenance   the ground
    corpora      card -> reader -> passage store
    indexes      BM25 and FAISS over one corpus, TREC runs
    models       what generates text and scores options
    tasks        questions, prompts, gold answers
    metrics      retrieval and choice metrics
    experiment   config -> retrieval -> prompts -> records -> scores (writes run folders)
    analysis     reads run folders: intervals, paired tests
    report       reads the analysis: Markdown, CSV, figures
    cli          one thin file per noun
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ragbench.analysis.notebook import load_run

__version__ = "0.1.0"
__all__ = ["__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Load what a notebook asks for when it does: pandas takes its time."""
    if name == "load_run":
        from ragbench.analysis.notebook import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
