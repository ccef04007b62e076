"""Progress of work that takes more than a few seconds: share done, rate, time left. On a terminal it is tqdm's bar."""

import io
import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm

# a narrow terminal cuts the end off
_TIMES_AND_COUNTS = "{elapsed} gone, {remaining} left, {n:,}/{total:,}{unit}, {rate_noinv_fmt}{postfix}"


class Progress(tqdm):
    """Counts to `total`. In a log (no terminal) it is a plain line now and then, and one at the end.

    A context manager: left early, it ends its line.
    """

    monitor_interval = 0  # no thread that watches it

    def __init__(self, label: str, total: int, unit: str):
        self.in_log = not sys.stderr.isatty()
        super().__init__(
            desc=label,
            total=total,
            unit=f" {unit}",
            file=io.StringIO() if self.in_log else sys.stderr,
            mininterval=15.0 if self.in_log else 0.2,
            miniters=1,
            smoothing=0,  # the mean rate
            dynamic_ncols=True,
            unit_scale=True,  # of the rate: 12.3k
            bar_format="{desc}: {percentage:3.0f}% " + ("" if self.in_log else "|{bar:16}| ") + _TIMES_AND_COUNTS,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """tqdm's own shows nothing on a terminal that does not tell its height."""
        if self.n == self.initial:
            return  # nothing to say of rate and time yet
        if self.in_log:
            print(self, file=sys.stderr, flush=True)
        else:
            self.sp(str(self))

    def resume_at(self, done: int) -> None:
        """Work that an earlier, interrupted run had done counts as done, but not towards the rate."""
        self.n = self.initial = done

    def advance_to(self, done: int) -> None:
        """Like `advance`, to `done` of the total; nothing if that many are counted already."""
        if done > self.n:
            self.advance(done - self.n)

    def advance(self, count: int = 1, note: str = "") -> None:
        self.set_postfix_str(note, refresh=False)
        if self.n + count < self.total:
            self.update(count)
        else:
            self.n += count
            self.close()


def tracked(items: Iterable, label: str, total: int, unit: str) -> Iterator:
    """Iterate over `items` under a progress line."""
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
