"""One progress line for anything that takes more than a few seconds: share done, rate, time left.

tqdm would do, but training and rendering must run on a bare machine with torch, numpy and h5py only.
"""

import sys
import time
from collections.abc import Iterable, Iterator


class Progress:
    """Counts to `total`. On a terminal it redraws one line; elsewhere (logs, CI) it prints a line now and then."""

    def __init__(self, label: str, total: int, unit: str):
        self.label, self.total, self.unit = label, total, unit
        self.done = 0
        self.on_terminal = sys.stderr.isatty()
        self.interval_s = 0.2 if self.on_terminal else 15.0
        self.start_s = self.last_s = time.monotonic()
        self.first = 0  # work that an earlier, interrupted run had done counts as done but not towards the rate

    def resume_at(self, done: int) -> None:
        self.done = self.first = done

    def advance(self, count: int = 1, note: str = "") -> None:
        self.done += count
        now_s = time.monotonic()
        if now_s - self.last_s >= self.interval_s or self.done >= self.total:
            self.last_s = now_s
            self._print(now_s - self.start_s, note)

    def _print(self, elapsed_s: float, note: str) -> None:
        rate = (self.done - self.first) / max(elapsed_s, 1e-9)
        left_s = (self.total - self.done) / rate if rate else 0.0
        text = (
            f"{self.label}: {100 * self.done / max(self.total, 1):3.0f}% {self.done:,}/{self.total:,} {self.unit}, "
            f"{rate:,.0f} {self.unit}/s, {_clock(elapsed_s)} gone, {_clock(left_s)} left{'  ' + note if note else ''}"
        )
        last = self.done >= self.total
        if self.on_terminal:
            print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def tracked(items: Iterable, label: str, total: int, unit: str) -> Iterator:
    """Iterate over `items` under a progress line."""
    progress = Progress(label, total, unit)
    for item in items:
        yield item
        progress.advance()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
