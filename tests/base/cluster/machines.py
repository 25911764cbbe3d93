"""A Ray cluster of processes on this machine, for slow tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import pytest

from ragbench.base.cluster.engine import Cluster


class Machines:
    """A head without processors and nodes of one processor each."""

    def __init__(self, nodes: int = 2) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        cluster_utils = pytest.importorskip("ray.cluster_utils")
        head = {"num_cpus": 0, "include_dashboard": False}
        self._cluster: Any = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self._cluster.add_node(num_cpus=1) for _ in range(nodes)]

    @contextmanager
    def connected(self) -> Iterator[Cluster]:
        """Yield a connection as the command line makes it."""
        cluster = Cluster(address=self._cluster.address)
        try:
            yield cluster
        finally:
            cluster.close()

    def kill_node(self) -> None:
        """Kill a node and all its processes at once; not the one that this process is on."""
        import ray

        own = ray._private.worker.global_worker.node.raylet_socket_name
        node = next(node for node in self.nodes if node.raylet_socket_name != own)
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        """End the cluster."""
        with suppress(Exception):
            self._cluster.shutdown()


def kill_worker(cluster: Cluster) -> None:
    """Kill the process of a worker that is answering."""
    pool = cluster.pool
    (busy, *_) = list(pool._busy)
    os.kill(pool._hellos[busy].process, signal.SIGKILL)


def calls(cluster: Cluster) -> int:
    """Return the number of calls that the workers have answered."""
    return sum(cluster.calls.values())


@contextmanager
def once(is_due: Callable[[], bool], act: Callable[[], None]) -> Iterator[None]:
    """Act once beside the block, as soon as it is due; the block must not end before."""
    done: list[bool] = []

    def wait() -> None:
        while not is_due():
            time.sleep(0.01)
        act()
        done.append(True)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(30)
    assert done, "nothing was killed while the block ran"
