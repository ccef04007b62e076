"""Rows of the grid, raw data to report. Usage: python -m stages.grid [row or set ...] [-S key=value ...]

A set (rhd, stb, rhd+stb, icvl, nyu, msra) stands for all rows that are trained on it; without a name everything runs.
Only what the rows need is downloaded, or rendered, and trained; the report then shows what is there. -S changes
params.yaml first, as in `dvc exp run`:
python -m stages.grid rhd -S data.rhd.source=/data/RHD_published_v2 -S profile=paper
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from handvae.base import atomic, params
from handvae.base.errors import InputError
from stages import run

PARAMS = Path("params.yaml")


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = refuse  # one line, as every stage's
    parser.add_argument("names", nargs="*")
    parser.add_argument("-S", "--set-param", action="append", default=[])
    given = parser.parse_intermixed_args(arguments)
    before = PARAMS.read_text()
    try:
        if given.set_param:
            set_params(given.set_param)
        targets = commands(given.names, params.load(PARAMS).experiments)
    except BaseException:
        if given.set_param:
            atomic.write_text(PARAMS, before)
        raise
    signal.signal(signal.SIGINT, lambda *_: None)  # the stage and DVC get it too, and end in order
    for command in targets:
        if code := subprocess.run(command, env=environment()).returncode:
            sys.exit(code)


def refuse(message: str) -> NoReturn:
    raise InputError(f"stages.grid: {message}; {__doc__.splitlines()[0].partition('. ')[2]}")


def set_params(changes: Iterable[str]) -> None:
    """Change params.yaml by DVC's own grammar. InputError for a key that is not there."""
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    try:
        apply_overrides(PARAMS, list(changes))
    except DvcException as error:
        raise InputError(f"-S {' -S '.join(changes)}: {error}: {error.__cause__}") from error


def rows(names: Iterable[str], experiments: dict[str, params.Experiment]) -> list[str]:
    """The rows that are named, alone or by their set, in the grid's order."""
    chosen: set[str] = set()
    for name in names:
        of_set = {row for row, experiment in experiments.items() if experiment.dataset == name}
        if name not in experiments and not of_set:
            known = ", ".join([*dict.fromkeys(one.dataset for one in experiments.values()), *experiments])
            raise InputError(f"stages.grid: expected sets or rows of {PARAMS}: {known}; found {name!r}")
        chosen |= {name} if name in experiments else of_set
    return [row for row in experiments if row in chosen]


def commands(names: Sequence[str], experiments: dict[str, params.Experiment]) -> list[list[str]]:
    """What DVC is asked for: the rows with all that they stand on, then the report of what is there."""
    repro = [sys.executable, "-m", "dvc", "repro"]
    if not names:
        return [repro]
    return [
        [*repro, *(f"evaluate_paper@{row}" for row in rows(names, experiments))],
        # by force: what DVC takes for unchanged may stand on another params.yaml than the rows that were left alone
        [*repro, "--single-item", "--force", "report"],
    ]


def environment() -> dict[str, str]:
    """The stages are run by `python`: let it be this one, also where its environment is not active."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


if __name__ == "__main__":
    run(main, *sys.argv[1:])
