"""Where relative paths start, also in an experiment that runs outside the workspace.

`dvc exp run --temp` and DVC's queue run in <workspace>/.dvc/tmp/exps/<name>, the workers of stages.grid in
<workspace>/.grid/workers/<n>, with what git and DVC track in it: raw data and a user's own folders are in the workspace
alone.
"""

from collections.abc import Sequence
from pathlib import Path


def folder() -> Path:
    """The workspace: here, or what the experiment in this folder was started from."""
    here = Path.cwd()
    for parent in (here, *here.parents):
        for aside in ((".dvc", "tmp", "exps"), (".grid", "workers")):
            if parent.parts[-1 - len(aside) : -1] == aside:
                return parent.parents[len(aside)]
    return Path()


def source(text: str | Sequence[str]) -> str | list[str]:
    """A data source, or a list of them, with relative paths seen from the workspace; addresses and ~ as they are."""
    if not isinstance(text, str):
        return [source(part) for part in text]
    here = folder() == Path() or "://" in text or text.startswith("~")
    return text if here else str(folder() / text)
