"""Commands that end with the process that started them; Ctrl-C; and processes that a killed run left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MARK = "HANDVAE_GRID"  # environment variable of all that a grid starts: the folder it works in
INTERRUPTED = "interrupted; the same command goes on from here"
# a reader of a pipe that only the parent holds: at its death the whole process group goes
GUARD = 'exec 3<&0; { cat <&3; kill -KILL 0; } >/dev/null 2>&1 & exec "$@" </dev/null 3<&-'


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command in `folder`. Stages are run by `python`: this one, also where it is not active."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return os.environ | {"PATH": path, MARK: str(folder.resolve())}


@contextmanager
def guarded(command: Sequence[str], folder: Path, **options: object) -> Iterator[subprocess.Popen]:
    """The running command, in a process group of its own that ends with this block, and with this process."""
    unblocked = (signal.SIGINT, signal.SIGTERM)  # Ray's workers block them, and children inherit that
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, unblocked)
    try:
        options = {"env": environment(folder), **options}
        words = ["sh", "-c", GUARD, "sh", *command]
        process = subprocess.Popen(words, cwd=folder, stdin=subprocess.PIPE, start_new_session=True, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield process
    finally:
        send(process, signal.SIGKILL)
        process.wait()
        process.stdin.close()


def send(process: subprocess.Popen, number: int) -> None:
    """A signal to the command and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def sweep(folder: Path) -> None:
    """Kill the processes that an earlier grid left in `folder` and its clones, on this machine, and wait for their end.

    Not those of another checkout below it: a grid may be at work there.
    """
    folder, killed = folder.resolve(), []
    clones = (folder / ".grid/workers", folder / ".grid/rows")
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            mark = Path(process.environ().get(MARK, ""))
            if (mark == folder or mark.parent in clones) and process.pid != os.getpid():
                process.kill()
                killed.append(process)
    psutil.wait_procs(killed, timeout=30)


class Interrupts:
    """Ctrl-C and SIGTERM, noted and passed on to `process`: at the first it ends in order, at the second at once."""

    def __init__(self) -> None:
        self.noted, self.process = False, None

    def listen(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        if self.process is None and self.noted:
            raise KeyboardInterrupt(INTERRUPTED)
        self.noted = True
        if self.process is not None:
            send(self.process, signal.SIGINT)

    def run(self, command: Sequence[str], folder: Path, **options: object) -> int:
        """The exit code of a command, to which interrupts are passed on. KeyboardInterrupt if one came before it."""
        if self.noted:
            raise KeyboardInterrupt(INTERRUPTED)
        with guarded(command, folder, **options) as process:
            self.process = process
            try:
                if self.noted:  # while the command was started
                    send(process, signal.SIGINT)
                return process.wait()
            finally:
                self.process = None
