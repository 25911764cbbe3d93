"""The device, threads and number format that torch uses, and compilation of loops by numba."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from ragbench.base.errors import PrerequisiteError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


def pick_device(wanted: Device) -> str:
    """Return ``cpu`` or ``cuda``; ``auto`` is the GPU if there is one.

    Raises:
        PrerequisiteError: ``cuda`` is wanted and torch sees no GPU.
    """
    import torch

    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise PrerequisiteError(
            f"torch {torch.__version__} sees no CUDA device",
            fix="use --device cpu, or install a CUDA build of torch; `ragbench doctor` shows both",
        )
    return "cpu"


def has_fast_bfloat16(device: str) -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    import torch

    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def pick_dtype(wanted: Dtype, device: str) -> str:
    """Return the name of the number format; ``auto`` is bfloat16 if the hardware supports it."""
    if wanted != "auto":
        return wanted
    return "bfloat16" if has_fast_bfloat16(device) else "float32"


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch dtype of a number format's name."""
    import torch

    return {
        "float32": torch.float32,
        "bfloat16": torch.bfloat16,
        "float16": torch.float16,
    }[name]


# Idle threads of GNU OpenMP spin 300,000 times by default, which makes a busy machine several times
# slower; a short spin costs an idle machine nothing (docs/performance.md).
SPINS = "10000"
_loaded_before: list[str] = []


def spin_briefly() -> None:
    """Let idle threads of GNU OpenMP, which torch loads later, spin for a short time.

    A value of the user's own (``GOMP_SPINCOUNT``, ``OMP_WAIT_POLICY``) is kept.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        return
    if "torch" in sys.modules:  # its OpenMP has read the environment
        _loaded_before.append("torch")
    os.environ["GOMP_SPINCOUNT"] = SPINS


def threads_remark() -> str:
    """Return, once per process, why torch is slow on a busy machine; empty if it is not."""
    import torch

    if not _loaded_before:
        return ""
    _loaded_before.clear()
    if torch.get_num_threads() == 1 or "OpenMP" not in torch.__config__.parallel_info():
        return ""
    return (
        "note: torch was imported before ragbench, so its idle threads spin long: answering is "
        "several times slower on a busy machine. Import ragbench first, or set "
        f"GOMP_SPINCOUNT={SPINS}"
    )


def hide_loading_bars() -> None:
    """Keep transformers' own progress bars off standard error."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, compiled at its first call; compiled code releases the GIL.

    The machine code is cached next to the source file, in the user's cache, or in
    ``NUMBA_CACHE_DIR``. If none of these is writable, each process compiles the function again.
    """
    from numba import njit

    try:
        found: Callable[..., Any] = njit(function, cache=True, nogil=True)
    except RuntimeError:  # no writable cache
        found = njit(function, nogil=True)
    return found
