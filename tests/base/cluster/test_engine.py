"""How a cluster's processors and GPUs are shared, and clusters that are not there."""

from __future__ import annotations

import sys

import pytest

from ragbench.base.cluster.engine import Cluster, Node, Share, share_of, way_to
from ragbench.base.endpoint import refuse_restricted, trusted_origin
from ragbench.base.errors import PrerequisiteError, UsageError


def nodes(*sizes: tuple[int, int]) -> list[Node]:
    return [Node(f"10.0.0.{n}", cpus, gpus) for n, (cpus, gpus) in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "workers", "share"),
    [
        ([(16, 4), (16, 4), (8, 0)], None, Share(8, 0, 1)),  # one per GPU
        ([(16, 4), (16, 4)], 3, Share(3, 0, 1)),
        ([(2, 0), (2, 0)], None, Share(2, 2, 0)),  # one per node, with all its processors
        ([(0, 0), (2, 0), (2, 0)], None, Share(2, 2, 0)),  # the head computes nothing
        ([(1, 0), (2, 0)], None, Share(3, 1, 0)),
        ([(4, 0), (64, 0), (64, 0)], None, Share(4, 32, 0)),  # the small one has no place
        ([(8, 0)], 3, Share(3, 2, 0)),  # 8 // 2 = 4 places; of 3 there would be 2
    ],
)
def test_shares(sizes: list[tuple[int, int]], workers: int | None, share: Share) -> None:
    assert share_of(nodes(*sizes), workers) == share


def test_more_workers_than_there_is_room_for_are_refused() -> None:
    with pytest.raises(UsageError, match="9 workers were requested, and the cluster has 8 GPUs"):
        share_of(nodes((16, 4), (16, 4)), 9)
    with pytest.raises(UsageError, match="the cluster has 0 processors"):
        share_of(nodes((0, 0)), None)


def test_restricted_data_goes_to_this_machine_and_to_nodes_that_are_named() -> None:
    here, other = Node("10.0.0.1", 2, 0, is_here=True), Node("10.0.0.7", 2, 0)
    refuse_restricted("the task 'notes'", [way_to(here)], [])
    with pytest.raises(UsageError, match=r"is served by 10\.0\.0\.7, which is not trusted") as no:
        refuse_restricted("the task 'notes'", [way_to(other)], ["http://10.0.0.7:6379"])
    assert "`trusted_endpoints: ['ray://10.0.0.7']`" in no.value.fix
    refuse_restricted("the task 'notes'", [way_to(other)], [trusted_origin("ray://10.0.0.7")])
    with pytest.raises(UsageError):
        refuse_restricted("the task", [way_to(other)], ["ray://10.0.0.8", "https://10.0.0.7"])


def test_ray_that_is_missing_is_a_prerequisite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PrerequisiteError, match="Ray cannot be imported") as caught:
        Cluster()
    assert caught.value.fix == "pip install 'ragbench[ray]'"
