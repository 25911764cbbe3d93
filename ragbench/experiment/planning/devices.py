"""Speeds of devices: stated accelerators, and this machine as measured."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ragbench.base.errors import UsageError, near

GEMM_SHARE = 0.4  # of a matrix product's peak speed, as measured for prefill on CPUs


@dataclass(frozen=True, slots=True)
class StatedDevice:
    """An accelerator by its data sheet: dense bfloat16 FLOP/s, bytes, and bytes/s."""

    title: str
    products_per_s: float
    memory: float
    bytes_per_s: float


# From makers' data sheets, without sparsity.
DEVICES = {
    "rtx-4090": StatedDevice("RTX 4090, 24 GB", 165e12, 24e9, 1.01e12),
    "l40s": StatedDevice("L40S, 48 GB", 362e12, 48e9, 0.864e12),
    "a100-80gb": StatedDevice("A100, 80 GB", 312e12, 80e9, 2.04e12),
    "h100": StatedDevice("H100 SXM, 80 GB", 989e12, 80e9, 3.35e12),
    "h200": StatedDevice("H200, 141 GB", 989e12, 141e9, 4.8e12),
}


def device_of(name: str) -> StatedDevice:
    """Return a device by its name; UsageError if there is none."""
    if name not in DEVICES:
        raise UsageError(f"there is no device {name!r}", fix=near(name, DEVICES))
    return DEVICES[name]


def products_per_s(device: str, dtype: str) -> float:
    """Return the measured FLOP/s of a plain matrix product."""
    import torch

    from ragbench.base.devices import torch_dtype

    side = 1024 if device == "cpu" else 8192
    left = torch.ones((side, side), dtype=torch_dtype(dtype), device=device)
    _ = left @ left
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < 0.2:
        _ = float((left @ left)[0, 0])
        count += 1
    return 2.0 * side**3 * count / (time.perf_counter() - started)
