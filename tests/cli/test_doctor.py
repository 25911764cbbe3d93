"""``ragbench doctor``: what is here, what lacks, and what to type."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import ragbench, without


def test_doctor_tells_what_is_here(home: Path) -> None:
    done = ragbench(home, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["home"] == str(home)
    assert facts["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert facts["free_disk_bytes"] > 0
    assert facts["devices"][0].startswith("cpu: ")
    assert "processor" in facts["faiss"] or "GPU" in facts["faiss"]
    assert "faiss" in ragbench(home, "doctor").stdout


def test_doctor_gives_the_line_that_installs(home: Path) -> None:
    done = ragbench(home, "doctor", **without(home, "faiss", "torch"))
    assert done.returncode == 0, done.stderr
    assert "missing for dense search: faiss  ->  pip install faiss-cpu" in done.stdout
    assert "missing for core: torch  ->  pip install torch" in done.stdout
