"""The GPUs that FAISS can use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ragbench.base.devices import Device, pick_device
from ragbench.base.errors import PrerequisiteError

MAX_K = 2048  # hits, and cells of one search
TEMPORARY = 2 << 30  # bytes of a card: FAISS's own buffers, and pages of what is copied
SHARE = 0.9  # of what is left


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


def free_bytes(cards: int) -> list[int]:
    """Return the free memory of each card."""
    import torch

    return [int(torch.cuda.mem_get_info(card)[0]) for card in range(cards)]


def fits(each: float, free: Sequence[int]) -> bool:
    """Say whether every card has room for the bytes that each of them would hold.

    An error while FAISS copies an index to several cards ends the process, so this is asked before.
    """
    return all(each <= SHARE * (room - TEMPORARY) for room in free)
