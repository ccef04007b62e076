"""One line for each run in .grid/runs.jsonl: start, seconds, workers, finished rows, profile, commit, end."""

import json
import subprocess
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from handvae.base import atomic
from stages.parallel.clones import GRID

EVERY_S = 15.0  # the line of a killed run is at most so old


class Record:
    """The line of this run, rewritten while the block lasts; `ended` stays null if the run was killed.

    Keys: started (ISO time), seconds, workers, rows (those done), profile, commit, ended.
    """

    def __init__(self, home: Path, profile: str, workers: int):
        self.path, self.began_s = home / GRID / "runs.jsonl", time.monotonic()
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=home, capture_output=True, text=True).stdout.strip()
        started = datetime.now(UTC).isoformat(timespec="microseconds")
        self.line = {"started": started, "seconds": 0, "workers": workers, "rows": [], "profile": profile}
        self.line |= {"commit": commit or None, "ended": None}
        self.earlier = self.path.read_text().splitlines() if self.path.exists() else []
        self.over, self.writing = threading.Event(), threading.Lock()

    def __enter__(self) -> "Record":
        self.write()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, error: type | None, *_: object) -> None:
        self.over.set()
        self.line["ended"] = "finished" if error is None else error.__name__
        self.write()

    def _beat(self) -> None:
        while not self.over.wait(EVERY_S):
            self.write()

    def write(self) -> None:
        with self.writing, suppress(OSError):  # a full disk stops rows, not their record
            self.line["seconds"] = round(time.monotonic() - self.began_s, 1)
            atomic.write_text(self.path, "\n".join([*self.earlier, json.dumps(self.line)]) + "\n")
