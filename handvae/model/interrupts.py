"""Ctrl-C and SIGTERM, which schedulers send, noted until there is something whole to save."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

NOTE = b"\nstopping at the end of this block of steps; once more stops at once, from the last checkpoint on\n"


@contextmanager
def noted(said: bytes = NOTE) -> Iterator[list[int]]:
    """Inside, the first signal is put into the list that is yielded, and `said` on stderr; the second raises
    KeyboardInterrupt at once."""
    signals: list[int] = []

    def note(number: int, _frame: object) -> None:
        if signals:
            raise KeyboardInterrupt
        signals.append(number)
        os.write(2, said)  # print itself may be what was interrupted

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, note) for number in numbers if signal.getsignal(number) != signal.SIG_IGN}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
