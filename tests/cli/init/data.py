"""Data of a new user: a corpus and twenty questions about it, as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conftest import FACTS

MORE = {
    "glaucoma": "damage of the optic nerve by pressure in the eye",
    "cataract": "a clouded lens of the eye",
    "psoriasis": "red scaly plaques on elbows and knees",
    "scabies": "itching burrows in the skin by a mite",
    "haemophilia": "bleeding into joints for want of factor VIII",
    "leprosy": "patches of skin without feeling by a mycobacterium",
    "rabies": "fear of water after the bite of a mad dog",
    "botulism": "descending paralysis by a toxin in tinned food",
}
DISEASES = FACTS | MORE


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


def write_lines(path: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_notes(path: Path) -> Path:
    """Write one note per disease, with the ids n0, n1, ..."""
    rows = [
        [f"n{i}", name, f"{name} is {text}."] for i, (name, text) in enumerate(DISEASES.items())
    ]
    return write_csv(path, ["note_id", "heading", "text"], rows)


def write_questions(path: Path, *, gold: bool = False) -> Path:
    """Write one question per disease, with four options; with ``gold`` also its note."""
    names = list(DISEASES)
    rows = []
    for i, (name, text) in enumerate(DISEASES.items()):
        options = sorted([name, *(names[(i + step) % len(names)] for step in (3, 7, 11))])
        answer = "ABCD"[options.index(name)]
        rows.append([f"Which disease is {text}?", *options, answer, *([f"n{i}"] if gold else [])])
    header = ["Question", "A", "B", "C", "D", "Correct answer", *(["gold_doc_id"] if gold else [])]
    return write_csv(path, header, rows)


def write_model(path: Path, kind: str = "LlamaForCausalLM") -> Path:
    """Write the config.json of a model's folder."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"architectures": [kind]}), encoding="utf-8")
    return path
