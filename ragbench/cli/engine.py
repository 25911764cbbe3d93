"""The options that give work to a Ray cluster."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ragbench.base.cluster.engine import Cluster


def with_engine(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--engine``, ``--workers`` and ``--ray-address`` to a command."""
    for option in (
        click.option(
            "--ray-address",
            metavar="HOST:PORT",
            help="Ray cluster (default: RAY_ADDRESS, or the one on this machine).",
        ),
        click.option(
            "--workers",
            type=click.IntRange(1),
            help="Workers on the cluster (default: one per GPU or, without GPUs, per node).",
        ),
        click.option(
            "--engine",
            type=click.Choice(["local", "ray"]),
            default="local",
            show_default=True,
            help="Where models compute: in this process, or on a running Ray cluster.",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def cluster_of(
    engine: str, workers: int | None, ray_address: str | None
) -> Iterator[Cluster | None]:
    """Yield the cluster that the options name, connected; None for ``--engine local``.

    Raises:
        UsageError: An option of a cluster is given without one.
        PrerequisiteError: Ray is not installed, or no cluster is found.
    """
    from ragbench.base.errors import UsageError

    if engine == "local":
        if workers is not None or ray_address is not None:
            raise UsageError(
                "--workers and --ray-address are options of a Ray cluster",
                fix="add --engine ray",
            )
        yield None
        return
    from ragbench.base.cluster.engine import Cluster

    cluster = Cluster(address=ray_address, workers=workers)
    try:
        yield cluster
    finally:
        cluster.close()
