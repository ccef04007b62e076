"""Speed and memory of every part beside its goal.

Parts: training, plain_loop, multivae, time_to, beyond, rendering, predicting, pipeline, growth; all if none is named.
Each is a section of reports/benchmarks.md, written as it ends; other sections stay. --quick prints the parts that take
no minutes, and writes nothing. --profile NAME: of the networks and sets, small unless given; --goals NAME: of the time
to an error, night where there is one. Ratios are of sides measured in turn; pipeline runs the last commit.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from benchmarks import (
    beyond,
    data,
    growth,
    measure,
    multivae,
    page,
    plain_loop,
    predicting,
    programs,
    time_to,
    training,
)
from handvae.base import atomic
from handvae.base.errors import InputError
from stages import command_line, run

PARTS: dict[str, Callable[[Path, str], list[measure.Row]]] = {
    "training": training.rows,
    "plain_loop": plain_loop.rows,
    "multivae": multivae.rows,
    "beyond": beyond.rows,
    "rendering": programs.rendering_rows,
    "predicting": predicting.rows,
    "pipeline": programs.pipeline_rows,
    "growth": growth.rows,
    "time_to": time_to.rows,
}
QUICK = ("training", "plain_loop", "rendering", "predicting")
REPORT = Path("reports/benchmarks.md")
NOTE = (
    "Every ratio is of two sides measured in turn in one run, round by round; numbers alone say more about the machine "
    "and its other work than about the program. Training is on one thread on a CPU, on our side always."
)


def main(*arguments: str) -> None:
    parser = command_line("benchmarks.bench", __doc__)
    parser.add_argument("parts", nargs="*", metavar="part")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--profile", default="small")
    parser.add_argument("--goals")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.parts if name not in PARTS]:
        raise InputError(f"benchmarks.bench: expected parts of {', '.join(PARTS)}, found {', '.join(unknown)}")
    profiles = yaml.safe_load(data.PARAMS.read_text())["profiles"]
    goals = given.goals or ("night" if "night" in profiles else given.profile)
    for name in (given.profile, goals):
        if name not in profiles:
            raise InputError(f"params.yaml: expected a profile of {', '.join(profiles)}, found {name!r}")
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts or (QUICK if given.quick else PARTS):
            text = section(part, Path(folder), goals if part == "time_to" else given.profile)
            print(f"\n{text}", flush=True)
            if not given.quick:
                sections = page.sections(REPORT.read_text() if REPORT.exists() else "") | {part: text}
                ordered = [sections[name] for name in PARTS if name in sections]
                atomic.write_text(REPORT, "\n".join([f"# Benchmarks\n\n{NOTE}\n", *ordered]))


def section(part: str, folder: Path, profile: str) -> str:
    """A part's section of the page: on which machine it was measured, and its rows.

    If it cannot be measured a row says why, and the other parts go on.
    """
    facts, start = page.machine(), time.perf_counter()
    print(f"benchmarks: {part}, profile {profile}", file=sys.stderr, flush=True)
    try:
        rows = PARTS[part](folder, profile)
    except (InputError, OSError) as error:
        rows = [measure.Row(part, f"not measured: {' '.join(str(error).split())}")]
    minutes = (time.perf_counter() - start) / 60
    return f"## {part}\n\n{facts}\nProfile {profile}; it took {minutes:.1f} minutes.\n\n{page.table(rows)}\n"


if __name__ == "__main__":
    run(main, *sys.argv[1:])
