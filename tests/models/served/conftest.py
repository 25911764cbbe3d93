"""A real vLLM on the processor, started once for all tests that ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.served.real import RealServer, running

ENGINE = ("--max-model-len", "4096", "--enforce-eager")


@pytest.fixture(scope="session")
def vllm(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """The server, with the real small model in float32."""
    with running("vllm", smollm2_folder, tmp_path_factory.mktemp("vllm"), *ENGINE) as found:
        yield found
