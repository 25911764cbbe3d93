"""Outages of servers: the requests of all threads wait together for a server that is away.

A failed request does not show whether its server is away or fails on this request alone. The first
request that fails checks; if the server is away, one thread polls it and the others wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from random import SystemRandom
from threading import Condition, Thread, local

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import BackendError, RagbenchError, UnavailableError
from ragbench.base.progress import say

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0
LONGEST_ASKED_S = 60.0
REMINDER_S = 300.0
LOOK_S = 1.0  # between two looks whether a server was added
# Raises BackendError while the server is away, and another error if no wait helps. It is given
# whether a token has to be generated as well.
Check = Callable[[Endpoint, bool], None]


class _State(Enum):
    CHECKED = "being checked for the first time"
    AWAY = "away"
    LOST = "away for longer than is waited"
    OVER = "back, or not away at all"


@dataclass(slots=True)
class _Outage:
    endpoint: Endpoint
    since: float
    reason: str
    pause_s: float | None
    state: _State = _State.CHECKED
    polls: int = 0
    was_away: bool = False
    error: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody polls any more."""
        return self.state is _State.OVER

    @property
    def is_away(self) -> bool:
        """Whether the server is polled."""
        return self.state in (_State.AWAY, _State.LOST)

    @property
    def is_lost(self) -> bool:
        """Whether the server was away for longer than is waited."""
        return self.state is _State.LOST


class Outages:
    """The outages of one model's servers; safe to use from several threads.

    Args:
        name: The model's name, for messages.
        patience_s: Seconds that an outage is waited out; 0 for never.
        is_used: Says whether a server is still one of the model's; one that is not is forgotten.
    """

    def __init__(
        self,
        name: str,
        patience_s: float,
        is_used: Callable[[Endpoint], bool] = lambda _: True,
    ) -> None:
        self._name = name
        self._patience_s = patience_s
        self._is_used = is_used
        self._check: Check | None = None
        self._changed = Condition()
        self._known: dict[Endpoint, _Outage] = {}
        self._back: dict[Endpoint, float] = {}  # when the last outage was over
        self._ends = 0
        self._used = time.monotonic()
        self._waits = local()

    def begin(self, check: Check) -> None:
        """Wait out outages from now on; ``check`` asks a server whether it is back."""
        self._check = check if self._patience_s else None

    @property
    def waited_s(self) -> float:
        """Seconds that requests of this thread have waited for servers that were away."""
        return float(getattr(self._waits, "seconds", 0.0))

    def clock(self) -> float:
        """Return seconds that go on unless this thread waits for servers that are away."""
        return time.perf_counter() - self.waited_s

    @contextmanager
    def clocked(self) -> Iterator[None]:
        """Stop the thread's ``clock`` meanwhile."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waits.seconds = self.waited_s + time.monotonic() - began

    def is_away(self, endpoint: Endpoint) -> bool:
        """Say whether a server is known to be away."""
        with self._changed:
            self._used = time.monotonic()
            found = self._known.get(endpoint)
            return found is not None and found.is_away

    def examine(
        self,
        endpoint: Endpoint,
        failure: BackendError,
        *,
        started: float,
        late: bool = False,
        asked_s: float | None = None,
    ) -> bool:
        """Say whether a failed request met an outage; False if the request alone failed.

        Args:
            endpoint: The server.
            failure: The error of the request.
            started: When the request was sent, by ``time.monotonic``.
            late: Whether the request timed out, so that a busy server is not asked for a token.
            asked_s: Seconds that the server asked to wait.

        Raises:
            RagbenchError: The server cannot be used any more, such as with another model.
        """
        if self._check is None:
            return False
        with self.clocked():
            return self._examine(endpoint, failure.what, started, late, asked_s)

    def _examine(
        self, endpoint: Endpoint, reason: str, started: float, late: bool, asked_s: float | None
    ) -> bool:
        with self._changed:
            if started < self._back.get(endpoint, -1.0):
                return True  # an outage of before
            outage = self._known.get(endpoint)
            is_first = outage is None
            if outage is None:
                outage = _Outage(endpoint, time.monotonic(), reason, asked_s)
                self._known[endpoint] = outage
        if is_first:
            self._first(outage, tokens=not late)
        with self._changed:
            while outage.state is _State.CHECKED:
                self._changed.wait()
        _raise(outage.error)
        return outage.was_away

    def wait(
        self,
        candidates: Callable[[], Sequence[Endpoint]],
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Return once one of the servers is not away.

        Args:
            candidates: Returns the servers, which may change meanwhile.
            meanwhile: Called about every second.

        Raises:
            UnavailableError: All of them were away for too long, or all waits were ended.
            RagbenchError: One of them cannot be used any more.
        """
        with self.clocked():
            ends = self._ends
            while not self._is_any_back(candidates(), ends):
                meanwhile()

    def _is_any_back(self, servers: Sequence[Endpoint], ends: int) -> bool:
        """Say whether one of the servers is not away; wait a second if none is."""
        with self._changed:
            self._used = time.monotonic()
            outages = [self._known.get(endpoint) for endpoint in servers]
            if self._ends != ends:
                raise UnavailableError(f"{self._name} is no longer waited for")
            away = [each for each in outages if each is not None and each.is_away]
            for each in outages:
                _raise(each.error if each is not None else None)
            if len(away) < len(outages):
                return True
            if all(each.is_lost for each in away):
                raise self._lost(away[0])
            self._changed.wait(LOOK_S)
            return False

    def end(self) -> None:
        """Stop all polling and forget all outages; requests that wait end with an error."""
        with self._changed:
            for outage in self._known.values():
                outage.state = _State.OVER
            self._known.clear()
            self._ends += 1
            self._changed.notify_all()

    def _first(self, outage: _Outage, *, tokens: bool) -> None:
        """Check a server for the first time, and start to poll it if it is away."""
        try:
            away = self._is_away(outage, tokens=tokens)
        except BaseException as error:
            with self._changed:
                outage.state = _State.OVER
                if isinstance(error, RagbenchError):
                    outage.error = error
                else:  # such as a key that was pressed
                    self._known.pop(outage.endpoint, None)
                self._changed.notify_all()
            raise
        with self._changed:
            if outage.state is _State.OVER:  # ended meanwhile
                return
            if away:
                outage.state, outage.was_away = _State.AWAY, True
            else:
                outage.state = _State.OVER
                self._known.pop(outage.endpoint, None)
            self._changed.notify_all()
        if away:
            say(
                f"{self._name}: {outage.endpoint.url} is away ({outage.reason}); it is polled and "
                f"waited for, for at most {self._patience_s:g} s (`patience_s`)"
            )
            Thread(target=self._poll, args=(outage,), name="poller", daemon=True).start()

    def _is_away(self, outage: _Outage, *, tokens: bool = True) -> bool:
        outage.polls += 1
        try:
            if self._check is not None:
                self._check(outage.endpoint, tokens)
        except BackendError as error:
            outage.reason = error.what
            return True
        return False

    def _poll(self, outage: _Outage) -> None:
        """Ask a server with growing pauses until it is back; runs in a thread of its own."""
        try:
            self._poll_until_back(outage)
        except BaseException as error:  # raised again by those who wait
            with self._changed:
                outage.error = error
                outage.state = _State.OVER
                self._changed.notify_all()

    def _poll_until_back(self, outage: _Outage) -> None:
        pause_s, said, said_at = FIRST_PAUSE_S, outage.reason, outage.since
        wait_s = min(outage.pause_s or 0.0, LONGEST_ASKED_S)
        while True:
            left = outage.since + self._patience_s - time.monotonic()
            wait_s = max(wait_s, pause_s * SystemRandom().uniform(0.75, 1.0))
            with self._changed:
                limit_s = wait_s if outage.is_lost else max(0.0, min(wait_s, left))
                if self._changed.wait_for(lambda: outage.is_over, limit_s):
                    return
            wait_s, pause_s = 0.0, min(2 * pause_s, LONGEST_PAUSE_S)
            if not self._is_used(outage.endpoint):
                with self._changed:
                    outage.state = _State.OVER
                    self._known.pop(outage.endpoint, None)
                    self._changed.notify_all()
                return
            away = self._is_away(outage)
            now = time.monotonic()
            seconds = now - outage.since
            with self._changed:
                if outage.is_over:
                    return
                if not away:
                    outage.state = _State.OVER
                    self._known.pop(outage.endpoint, None)
                    self._back[outage.endpoint] = now
                elif outage.is_lost and now - self._used > REMINDER_S:
                    self._known.pop(outage.endpoint, None)  # nobody asks any more
                    return
                elif seconds >= self._patience_s:
                    outage.state = _State.LOST
                self._changed.notify_all()
            if not away:
                say(f"{self._name}: {outage.endpoint.url} is back after {seconds:.0f} s")
                return
            if outage.reason != said or now - said_at >= REMINDER_S:
                said, said_at = outage.reason, now
                say(
                    f"{self._name}: {outage.endpoint.url} has been away for {seconds:.0f} s; now: "
                    f"{outage.reason}"
                )

    def _lost(self, outage: _Outage) -> UnavailableError:
        return UnavailableError(
            f"the server of {self._name} was away for {time.monotonic() - outage.since:.0f} s and "
            f"{outage.polls} polls of its list of models; the last: {outage.reason}",
            where=outage.endpoint.url,
            fix="start the server and run the same command again, which keeps the answers so far; "
            f"to wait longer, raise `patience_s` of the model (now {self._patience_s:g})",
        )


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
