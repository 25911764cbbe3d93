"""The servers of one model: the least busy is asked next, as often at a time as it can stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Literal

from ragbench.base.endpoint import Endpoint
from ragbench.base.progress import say

FIRST_REST_S, LONGEST_REST_S = 5.0, 60.0
LOOK_S = 1.0  # between two looks whether a server that was left out is back
Outcome = Literal["answered", "failed", "too many"]


@dataclass(slots=True)
class Turn:
    """One request to one server; without a word of how it ended, the server answered it."""

    endpoint: Endpoint
    number: int = 0
    outcome: Outcome = "answered"

    def failed(self) -> None:
        """Report that the server did not answer, or answered that it cannot (5xx)."""
        self.outcome = "failed"

    def too_many(self) -> None:
        """Report that the server answered 429: it is asked too often."""
        self.outcome = "too many"


class AllAway(Exception):
    """No server can be asked."""


@dataclass(slots=True)
class _Server:
    """One server.

    Attributes:
        endpoint: Its address.
        limit: Number of requests that it may have at a time, in whole numbers.
        under_way: Number of requests that it has.
        last: Number of the last turn that it got.
        judged: Number of the last turn that was given when it was last found failing or too busy:
            the outcomes of turns up to it tell the same story again.
        rests: Times that it failed since it last answered.
        until: Time until which it is left out.
        told: Whether the screen has said that it is asked less.
    """

    endpoint: Endpoint
    limit: float
    under_way: int = 0
    last: int = 0
    judged: int = 0
    rests: int = 0
    until: float = 0.0
    told: bool = False


class Pool:
    """Chooses servers; safe to use from several threads.

    A server that fails is left out for 5 seconds, and for twice as long each time that it fails
    again, up to a minute; if all fail, all are asked. A server that answers 429 is asked half as
    often at a time, and once more at a time after as many answers as it has requests (additive
    increase, multiplicative decrease, as TCP does).

    Args:
        name: The model's name, for messages.
        endpoints: The servers.
        at_once: Number of requests that each may have at a time.
        is_away: Says whether a server is waited for; it is not asked meanwhile.
            It may have a lock of its own, with which it must not ask the pool.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        endpoints: Iterable[Endpoint],
        *,
        at_once: int,
        is_away: Callable[[Endpoint], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._at_once = at_once
        self._is_away = is_away
        self._clock = clock
        self._changed = Condition()
        self._turns = 0
        self._servers = [_Server(endpoint, at_once) for endpoint in dict.fromkeys(endpoints)]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers at present."""
        with self._changed:
            return tuple(server.endpoint for server in self._servers)

    @property
    def at_once(self) -> int:
        """Number of requests that all servers together may have at present."""
        with self._changed:
            return sum(int(server.limit) for server in self._usable() or self._servers)

    def replace(self, endpoints: Iterable[Endpoint]) -> None:
        """Use other servers from here on; those that stay keep what is known of them.

        Requests to a server that is removed go on.
        """
        with self._changed:
            known = {server.endpoint: server for server in self._servers}
            self._servers = [
                known.get(endpoint) or _Server(endpoint, self._at_once)
                for endpoint in dict.fromkeys(endpoints)
            ]
            self._changed.notify_all()

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Yield a turn at the least busy server, waiting until one may be asked.

        Of equally busy servers it is the one that was asked longest ago.

        Raises:
            AllAway: All servers are away.
        """
        server, turn = self._take()
        try:
            yield turn
        finally:
            self._give_back(server, turn)

    def forgive(self, endpoint: Endpoint) -> None:
        """Leave a server out no longer: its failures were an outage, which is waited for."""
        with self._changed:
            for server in self._servers:
                if server.endpoint == endpoint:
                    server.rests, server.until = 0, 0.0
            self._changed.notify_all()

    def _usable(self) -> list[_Server]:
        now = self._clock()
        here = [server for server in self._servers if not self._is_away(server.endpoint)]
        return [server for server in here if server.until <= now] or here

    def _take(self) -> tuple[_Server, Turn]:
        with self._changed:
            while True:
                usable = self._usable()
                if not usable:
                    raise AllAway
                free = [s for s in usable if s.under_way < int(s.limit)]
                if free:
                    break
                self._changed.wait(LOOK_S)
            server = min(free, key=lambda s: (s.under_way, s.last))
            self._turns += 1
            server.under_way += 1
            server.last = self._turns
            return server, Turn(server.endpoint, self._turns)

    def _give_back(self, server: _Server, turn: Turn) -> None:
        told = ""
        with self._changed:
            server.under_way -= 1
            if turn.outcome == "answered":
                server.rests, server.until = 0, 0.0
                server.limit = min(float(self._at_once), server.limit + 1 / server.limit)
            elif turn.number > server.judged:
                server.judged = self._turns
                told = self._judge(server, turn.outcome)
            self._changed.notify_all()
        if told:
            say(told)

    def _judge(self, server: _Server, outcome: Outcome) -> str:
        """Ask a server less, or not for a while; return what the screen says of it."""
        if outcome == "failed":
            rest_s = min(FIRST_REST_S * 2.0**server.rests, LONGEST_REST_S)
            server.until = self._clock() + rest_s
            server.rests += 1
            return ""
        before, server.limit = int(server.limit), max(1.0, server.limit / 2)
        if server.told or before == 1:
            return ""
        server.told = True
        return (
            f"{self._name}: {server.endpoint.url} answers 429 (too many requests); it now gets "
            f"{int(server.limit)} at a time instead of {before}, and gradually more again"
        )
