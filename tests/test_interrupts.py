import os
import signal

import pytest

from handvae.model import interrupts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_stops_at_once(number, capfd):
    before = signal.signal(number, signal.default_int_handler)  # tests that run in the background have SIGINT ignored
    try:
        with interrupts.noted() as signals:
            os.kill(os.getpid(), number)
            assert signals == [number]
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert capfd.readouterr().err.count("stopping at the end of this block of steps") == 1


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError), interrupts.noted():
        raise ValueError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and shells have it for what runs in the background
    try:
        with interrupts.noted() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals == []
    finally:
        signal.signal(signal.SIGINT, before)
