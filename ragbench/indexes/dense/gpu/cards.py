"""The GPUs that FAISS can use."""

from __future__ import annotations

from typing import Any

from ragbench.base.devices import Device, pick_device
from ragbench.base.errors import PrerequisiteError, UsageError

MAX_K = 2048  # hits, and cells of one search


def count(faiss: Any) -> int:
    """Return how many GPUs this FAISS can use; 0 for faiss-cpu."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def require(faiss: Any) -> None:
    """Refuse a machine on which FAISS can use no GPU.

    Raises:
        PrerequisiteError: There is none, or the package has no GPU support.
    """
    if count(faiss) == 0:
        raise PrerequisiteError(
            "the installed FAISS has no GPU support, or sees no GPU",
            fix="pip uninstall faiss-cpu, then pip install faiss-gpu; `ragbench doctor` shows both",
        )


def is_wanted(faiss: Any, device: Device, factory: str) -> bool:
    """Say whether an index is to be searched on GPUs.

    ``auto`` uses GPUs where both torch and FAISS see some; FAISS has no GPU form of HNSW.
    """
    if device == "cuda":
        pick_device(device)  # torch tells more about what is missing
        require(faiss)
    is_seen = count(faiss) > 0 and pick_device(device) == "cuda"
    return is_seen and "HNSW" not in factory


def check_k(k: int, n: int) -> None:
    """Refuse more hits than FAISS gives on a GPU, as their end would look like the ranking's.

    Raises:
        UsageError: It is more, and there are as many vectors.
    """
    if min(k, n) > MAX_K:
        raise UsageError(
            f"{k:,} hits are wanted, and FAISS gives at most {MAX_K:,} on a GPU",
            fix="search with --device cpu, or ask for fewer",
        )
