"""Retrieval-augmented evaluation for medicine.

The floors of the package, lowest first; a module imports only from floors below its own:

    base         errors, files, home, records, registry, progress, provenance
    corpora      card -> reader -> passage store
    indexes      BM25 and FAISS over one corpus, TREC runs
    models       what generates text and scores options
    tasks        questions, prompts, gold answers
    metrics      retrieval and choice metrics
    experiment   config -> retrieval -> prompts -> records -> scores (writes run folders)
    analysis     reads run folders: intervals, paired tests
    report       reads the analysis: Markdown, CSV, figures
    api          the functions below
    cli          one thin file per noun

In Python, ``ragbench.run``, ``load_run``, ``open_corpus``, ``build_index`` and ``open_index`` do
what the commands do (docs/python.md). Each is imported when it is first used. Import ragbench
before torch, whose threads it sets (docs/performance.md).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ragbench.base.devices import spin_briefly

if TYPE_CHECKING:
    from ragbench.analysis.notebook import load_run
    from ragbench.api import build_index, open_corpus, open_index, run
    from ragbench.base.errors import RagbenchError

__version__ = "0.1.0"
__all__ = [
    "RagbenchError",
    "__version__",
    "build_index",
    "load_run",
    "open_corpus",
    "open_index",
    "run",
]
_MODULES = {
    "RagbenchError": "ragbench.base.errors",
    "build_index": "ragbench.api",
    "load_run": "ragbench.analysis.notebook",
    "open_corpus": "ragbench.api",
    "open_index": "ragbench.api",
    "run": "ragbench.api",
}

spin_briefly()  # before torch is imported, in every way into the package


if not TYPE_CHECKING:  # with it, type checkers would take any name for one of the package

    def __getattr__(name: str) -> Any:
        """Import a function when it is first used, so that ``import ragbench`` is fast."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
