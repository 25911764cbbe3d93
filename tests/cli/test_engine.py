"""The options of a Ray cluster, without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.cli.engine import cluster_of
from ragbench.cli.main import main


def test_without_the_engine_there_is_no_cluster_and_its_options_are_refused() -> None:
    with cluster_of("local", None, None) as cluster:
        assert cluster is None
    for options in ((2, None), (None, "10.0.0.1:6379")):
        with (
            pytest.raises(UsageError, match="options of a Ray cluster") as caught,
            cluster_of("local", *options),
        ):
            pass
        assert caught.value.fix == "add --engine ray"


@pytest.mark.parametrize("command", ["run small", "index build bm25 --corpus notes"])
def test_without_ray_a_command_says_what_to_install(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(sys, "argv", ["ragbench", *command.split(), "--engine", "ray"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == PrerequisiteError.exit_code
    assert "pip install 'ragbench[ray]'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:9", "127.0.0.1", "[::1]:9"])
def test_a_cluster_that_is_not_there_is_a_prerequisite_with_what_to_type(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="Ray client"), cluster_of("ray", None, "ray://a:10001"):
        pass
    with (
        pytest.raises(PrerequisiteError, match="no Ray cluster to connect to") as caught,
        cluster_of("ray", None, address),
    ):
        pass
    assert "ray start --head" in caught.value.fix
