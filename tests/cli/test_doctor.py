"""``ragbench doctor``: what is here, what lacks, and what to type."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.conftest import ragbench


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
    hide = (
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda n, *a: None if n in ('faiss', 'torch') else real(n, *a)\n"
    )
    (home / "sitecustomize.py").write_text(hide, encoding="utf-8")
    done = ragbench(home, "doctor", PYTHONPATH=str(home))
    assert done.returncode == 0, done.stderr
    assert "missing for dense search: faiss  ->  pip install faiss-cpu" in done.stdout
    assert "missing for core: torch  ->  pip install torch" in done.stdout
