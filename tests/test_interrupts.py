import signal

import pytest

from handvae.model import interrupts


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def number(request):
    before = signal.signal(request.param, signal.default_int_handler)  # in the background SIGINT is ignored
    yield request.param
    signal.signal(request.param, before)


def test_the_first_signal_is_noted_the_second_stops_at_once_and_later_ones_do_what_they_did_before(number, capfd):
    with interrupts.noted() as signals:
        signal.raise_signal(number)
        assert signals == [number]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert capfd.readouterr().err.count("stopping at the end of this block of steps") == 1
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_ignored(number):
    signal.signal(number, signal.SIG_IGN)  # as nohup and shells have it for what runs in the background
    with interrupts.noted() as signals:
        signal.raise_signal(number)
    assert signals == []
