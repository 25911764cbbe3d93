"""A connection to a running Ray cluster: its nodes, and workers on them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ragbench.base import home
from ragbench.base.cluster.host import Hello, Host
from ragbench.base.cluster.pool import LostError, Pool
from ragbench.base.endpoint import Endpoint, WayOut, node_endpoint
from ragbench.base.errors import BackendError, PrerequisiteError, UsageError, first_line

PASSED_ON = ("RAGBENCH_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE")
REACH_S = 10.0
START = "start one with `ray start --head`, and on other machines `ray start --address=HOST:6379`"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster.

    Attributes:
        address: Its address in numbers.
        cpus: Processors that Ray may give out.
        gpus: GPUs that Ray may give out.
        is_here: Whether it is this machine.
    """

    address: str
    cpus: int
    gpus: int
    is_here: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """The address as a trusted endpoint names it; loopback for this machine."""
        return node_endpoint("127.0.0.1" if self.is_here else self.address)


@dataclass(frozen=True, slots=True)
class Share:
    """What each worker gets, and how many there are.

    Attributes:
        workers: Number of workers.
        cpus: Processors per worker.
        gpus: GPUs per worker.
    """

    workers: int
    cpus: int
    gpus: int


def share_of(nodes: Sequence[Node], workers: int | None) -> Share:
    """Return one worker per GPU; without GPUs one per node, or equal workers of more processors.

    A worker is on one node: it gets the most processors with which ``workers`` find their place,
    by default as many as there are nodes.

    Raises:
        UsageError: There are fewer GPUs or processors than workers.
    """
    gpus = sum(node.gpus for node in nodes)
    cpus = [node.cpus for node in nodes if node.cpus]
    most = gpus or sum(cpus)
    if (workers or 1) > most:
        raise UsageError(
            f"{workers or 1} workers were requested, and the cluster has {most} "
            f"{'GPUs' if gpus else 'processors'}",
            where="--workers",
            fix=f"give at most --workers {most}" if most else "add nodes to the cluster",
        )
    if gpus:
        return Share(workers or gpus, 0, 1)
    wanted = workers or len(cpus)
    size = next(n for n in range(max(cpus), 0, -1) if sum(c // n for c in cpus) >= wanted)
    return Share(workers or sum(c // size for c in cpus), size, 0)


def way_to(node: Node) -> WayOut:
    """Return a machine of a cluster as a way out of this one, for the guard of restricted data."""
    return WayOut("a node of the Ray cluster", (node.endpoint,), "--engine ray", "")


class Cluster:
    """A running Ray cluster; ``close`` ends the workers and the connection.

    Args:
        address: Address of the cluster; by default ``RAY_ADDRESS``, or the one on this machine.
        workers: Number of workers; by default one per GPU or, without GPUs, per node.

    Raises:
        PrerequisiteError: Ray is not installed, or no cluster is found.
    """

    def __init__(self, *, address: str | None = None, workers: int | None = None) -> None:
        self._checks: list[Callable[[Node], None]] = []
        self._is_ours = _connect(address)
        self._workers = workers

    @property
    def nodes(self) -> list[Node]:
        """The machines that are up now."""
        import ray

        here = ray.util.get_node_ip_address()
        return [
            Node(
                str(node["NodeManagerAddress"]),
                int(node["Resources"].get("CPU", 0)),
                int(node["Resources"].get("GPU", 0)),
                node["NodeManagerAddress"] == here,
            )
            for node in ray.nodes()
            if node["Alive"]
        ]

    def node(self, address: str) -> Node:
        """Return the machine at an address, which may have joined a moment ago."""
        import ray

        return Node(address, 0, 0, address == ray.util.get_node_ip_address())

    @cached_property
    def share(self) -> Share:
        """What each worker gets, by the nodes that are up at the first look."""
        return share_of(self.nodes, self._workers)

    @contextmanager
    def guarded(self, check: Callable[[Node], None]) -> Iterator[None]:
        """Refuse, in the block, every machine for which ``check`` raises an error.

        Those that are up are checked at once, and others before anything is sent there.
        """
        for node in self.nodes:
            check(node)
        self._checks.append(check)
        try:
            yield
        finally:
            self._checks.remove(check)

    @cached_property
    def pool(self) -> Pool:
        """Workers for whatever is computed on the cluster, one after the other."""
        import ray

        share, actor = self.share, ray.remote(Host)
        settings = {
            "RAGBENCH_HOME": str(home.home()),
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        }

        def start() -> _RayWorker:
            options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "max_restarts": 0}
            return _RayWorker(
                actor.options(scheduling_strategy="SPREAD", **options).remote(
                    settings, str(Path.cwd())
                )
            )

        def check(hello: Hello) -> None:
            for one in self._checks:
                one(self.node(hello.address))

        return Pool(start, share.workers, check=check)

    @property
    def calls(self) -> dict[str, int]:
        """Number of calls that workers have answered, by the address of their node."""
        return dict(self.pool.calls) if "pool" in self.__dict__ else {}

    def close(self) -> None:
        """End all workers, and the connection if it was made here."""
        import ray

        if "pool" in self.__dict__:
            self.pool.close()
        if self._is_ours:
            ray.shutdown()


def _connect(address: str | None) -> bool:
    """Connect to a cluster unless this process is connected; return whether it was not."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise PrerequisiteError(
            f"Ray cannot be imported: {first_line(error)}",
            where="--engine ray",
            fix="pip install 'ragbench[ray]'",
        ) from None
    if ray.is_initialized():
        return False
    wanted = address or os.environ.get("RAY_ADDRESS") or "auto"
    if wanted.startswith("ray://"):
        raise UsageError(
            "ragbench does not run through a Ray client",
            where=f"--ray-address {wanted}",
            fix="start it on a node of the cluster, and give HOST:PORT or nothing",
        )
    try:
        _reach(wanted)
        ray.init(address=wanted, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise PrerequisiteError(
            f"there is no Ray cluster to connect to: {first_line(error)}",
            where=f"address {wanted}",
            fix=START,
        ) from None
    return True


def _reach(address: str) -> None:
    """Open a connection to ``HOST:PORT``, for which Ray would wait for minutes.

    Raises:
        OSError: Nothing answers there.
        ValueError: It is no such address.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S):
        pass


class _RayWorker:
    """A Ray actor as a worker of a pool."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._hello = actor.hello.remote()

    def ready(self) -> Hello | None:
        import ray

        done, _ = ray.wait([self._hello], timeout=0)
        if not done:
            return None
        found: Hello = _result(self._hello)
        return found

    def ask(self, method: str, arguments: tuple[Any, ...]) -> Any:
        return _result(self._actor.call.remote(method, arguments))

    def stop(self) -> None:
        import ray

        with suppress(Exception):  # it is dead, or the cluster is gone
            ray.kill(self._actor)


def _result(reference: Any) -> Any:
    """Return the result of a call; any error of Ray but one inside the call loses the worker."""
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError as error:  # arguments or a result that cannot be read there or here
        raise BackendError(
            f"a worker of the cluster failed: {first_line(error.cause or error)}",
            fix="the nodes need the same versions of Python and of the packages",
        ) from None
    except RayError as error:
        raise LostError(_reason(error)) from None


def _reason(error: Exception) -> str:
    """Return the line of Ray's message that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error" in line and not line.startswith("ray.")]
    return (told or lines or [type(error).__name__])[-1 if told else 0][:200]
