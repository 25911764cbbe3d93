"""Speeds of devices: by their data sheet, or measured."""

from __future__ import annotations

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.planning.devices import DEVICES, device_of, products_per_s


def test_a_device_is_found_by_its_name() -> None:
    assert device_of("h100").products_per_s == 989e12  # NVIDIA's data sheet, dense bfloat16
    assert all(device.memory >= 24e9 for device in DEVICES.values())
    with pytest.raises(UsageError, match="no device 'h10'") as caught:
        device_of("h10")
    assert "'h100'" in caught.value.fix


def test_this_machine_is_measured() -> None:
    assert 1e7 < products_per_s("cpu", "float32") < 1e14
