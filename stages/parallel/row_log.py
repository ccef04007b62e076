"""One row's command in its clone: its output goes to .grid/logs/<row>.log, its error in one line to the caller."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from stages.parallel import processes
from stages.parallel.clones import GRID


def run(home: Path, clone: Path, row: str, command: list[str], stop: Path) -> tuple[bool, str]:
    """Whether a stage ran (else all came from the cache), and the error, empty if there was none.

    When the file `stop` appears the command gets Ctrl-C; when the parent is gone, Ray's node, it ends at once.
    """
    log = GRID / f"logs/{row}.log"
    environment = processes.environment(clone) | {"OMP_NUM_THREADS": "1"}
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": environment}
    with processes.guarded(command, clone, **pipe) as process:
        output = Output(home / log)
        reader = threading.Thread(target=output.read, args=(process.stdout,), daemon=True)
        reader.start()
        told, parent = False, os.getppid()
        while process.poll() is None and os.getppid() == parent:
            time.sleep(0.2)
            if not told and stop.exists():
                told = True
                processes.send(process, signal.SIGINT)
        reader.join(10)
    error = f"{output.error() or f'exit code {process.returncode}'} ({log})" if process.returncode else ""
    return output.ran, error


class Output:
    """A command's lines: appended to a log, and the last ones kept, since a full disk takes no log."""

    def __init__(self, log: Path):
        self.log, self.last, self.ran = log, deque(maxlen=40), False

    def read(self, stream: BinaryIO) -> None:
        for line in stream:
            self.last.append(line.decode(errors="replace").rstrip())
            self.ran |= line.startswith(b"Running stage")
            with suppress(OSError):
                self.log.parent.mkdir(parents=True, exist_ok=True)
                with open(self.log, "ab") as log:
                    log.write(line)

    def error(self) -> str:
        """The lines of the error, joined to one."""
        errors = [line for line in self.last if re.match(r"(?i)\w*error\b", line)]
        own = [line for line in errors if "failed to reproduce" not in line]  # DVC says that of every stage
        chosen = own[-3:] or errors[-1:] or list(self.last)[-1:]
        return "; ".join(dict.fromkeys(re.sub(r"(?i)^error: ", "", line) for line in chosen))
