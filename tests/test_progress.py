import fcntl
import os
import struct
import subprocess
import sys
import termios

import pytest

from handvae.base.progress import Progress
from tests.conftest import REPOSITORY

PROGRAM = """
from handvae.base.progress import Progress
with Progress("train", 4000, "samples") as progress:
    progress.mininterval = 0
    progress.resume_at(1000)
    for _ in range(3):
        progress.advance(1000, "loss 0.5")
print("done")
"""


def on_terminal(program: str, rows: int, columns: int) -> str:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen([sys.executable, "-c", program], cwd=REPOSITORY, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 4096):
            written += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


@pytest.mark.parametrize(("rows", "columns"), [(0, 160), (40, 60)])  # one does not tell its height, one is narrow
def test_a_terminal_has_one_line_that_is_drawn_again_and_fits(rows, columns):
    bar, done = on_terminal(PROGRAM, rows, columns).strip().split("\r\n")
    drawn = [text.strip() for text in bar.split("\r") if text.strip()]
    assert done == "done" and [text.split("%")[0] for text in drawn] == ["train:  50", "train:  75", "train: 100"]
    assert all(len(text) <= columns and " left" in text for text in drawn)
    assert columns < 160 or ("4,000/4,000 samples" in drawn[-1] and "loss 0.5" in drawn[-1])


def test_a_log_has_plain_lines_seldom_and_one_at_the_end(capsys):
    progress = Progress("train", 4000, "samples")
    progress.resume_at(1000)
    for done in (2000, 1000, 4000):
        progress.advance_to(done)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("train: 100% 00:00 gone, 00:00 left, 4,000/4,000 samples, ")
    assert line.isascii() and "\r" not in line
