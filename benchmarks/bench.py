"""Speed and memory of every part beside what it is held to. Usage: python -m benchmarks.bench [--only part] [--quick]

Parts: training, plain_loop, multivae, time_to, rendering, pipeline, growth. The whole run writes reports/benchmarks.md;
--quick (without the parts of many minutes: multivae, time_to, pipeline, growth) and --only print their rows alone.
--profile NAME: of the networks and sets, small unless given; --goals NAME: of the time to an error, night where there
is one. Ratios are of sides measured in turn; pipeline runs the last commit.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import yaml

from benchmarks import data, growth, measure, multivae, page, plain_loop, programs, time_to, training
from handvae.base import atomic
from handvae.base.errors import InputError
from stages import run

PARTS: dict[str, Callable[[Path, str], list[measure.Row]]] = {
    "training": training.rows,
    "plain_loop": plain_loop.rows,
    "multivae": multivae.rows,
    "rendering": programs.rendering_rows,
    "pipeline": programs.pipeline_rows,
    "growth": growth.rows,
    "time_to": time_to.rows,
}
QUICK = ("training", "plain_loop", "rendering")
REPORT = Path("reports/benchmarks.md")
NOTE = (
    "Every ratio is of two sides measured in turn in one run, round by round; numbers alone say more about the machine "
    "and its other work than about the program. Training is on one thread on a CPU, on our side always."
)


def main(*arguments: str) -> None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = refuse  # one line, as every stage's
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", default="small")
    parser.add_argument("--goals")
    given = parser.parse_args(arguments)
    chosen = [given.only] if given.only else QUICK if given.quick else PARTS
    profiles = yaml.safe_load(data.PARAMS.read_text())["profiles"]
    goals = given.goals or ("night" if "night" in profiles else given.profile)
    for name in (given.profile, goals):
        if name not in profiles:
            raise InputError(f"params.yaml: expected a profile of {', '.join(profiles)}, found {name!r}")
    rows, facts, start = [], page.machine(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen:
            rows += measured(part, Path(folder), goals if part == "time_to" else given.profile)
    minutes = (time.perf_counter() - start) / 60
    text = f"# Benchmarks\n\n{facts}\n\nIt took {minutes:.0f} minutes. {NOTE}\n\n{page.table(rows)}\n"
    print(f"\n{text}")
    if not given.only and not given.quick:
        atomic.write_text(REPORT, text)


def refuse(message: str) -> NoReturn:
    raise InputError(f"benchmarks.bench: {message}; {__doc__.splitlines()[0].partition('. ')[2]}")


def measured(part: str, folder: Path, profile: str) -> list[measure.Row]:
    """The rows of a part; where it cannot be measured, a row that says why, and the others go on."""
    start = time.perf_counter()
    print(f"benchmarks: {part}, profile {profile}", file=sys.stderr, flush=True)
    try:
        rows = PARTS[part](folder, profile)
    except (InputError, OSError) as error:
        rows = [measure.Row(part, f"not measured: {' '.join(str(error).split())}")]
    print(f"benchmarks: {part} took {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    run(main, *sys.argv[1:])
