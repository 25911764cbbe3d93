"""Progress on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ragbench.base.errors import masked, printable

PLAIN_INTERVAL_S = 15.0


def say(text: str) -> None:
    """Print one line of progress to standard error."""
    print(printable(masked(text)), file=sys.stderr, flush=True)  # noqa: T201 - the only module that prints


class Progress:
    """Counter of the finished items of one stage; created by ``stage``."""

    def __init__(self, label: str, total: int | None) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self.started = time.monotonic()
        self._last = self.started

    def advance(self, count: int = 1) -> None:
        """Add ``count`` finished items."""
        self.done += count
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL_S:
            self._last = now
            say(f"{self.label}: {self._state(now)}")

    def _state(self, now: float) -> str:
        elapsed = now - self.started
        if not self.total:
            return f"{self.done:,} in {elapsed:.0f} s"
        left = elapsed / max(self.done, 1) * (self.total - self.done)
        return f"{self.done:,} of {self.total:,} in {elapsed:.0f} s, about {left:.0f} s left"


class _Bar(Progress):
    def __init__(self, label: str, total: int | None) -> None:
        super().__init__(label, total)
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as RichProgress

        self.bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self.bar.start()
        self.task = self.bar.add_task(label, total=total)

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.bar.update(self.task, advance=count)


@contextmanager
def stage(label: str, total: int | None = None) -> Iterator[Progress]:
    """Show the progress of one stage and, at its end, one line with its count and seconds.

    Args:
        label: Name of the stage, such as ``index minilm-flat-icd10cm: embedding``.
        total: Number of items, if known.
    """
    progress = _Bar(label, total) if sys.stderr.isatty() else Progress(label, total)
    try:
        yield progress
    finally:
        if isinstance(progress, _Bar):
            progress.bar.stop()
    say(f"{label}: {progress.done:,} in {time.monotonic() - progress.started:.1f} s")
