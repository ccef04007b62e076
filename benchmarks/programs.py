"""Rendering, evaluation, report, a `dvc repro` with nothing to do, the grid with one worker and with two.

Whole programs, as somebody calls them, their start included unless a row says otherwise.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import data, measure
from handvae.base import workers
from handvae.base.errors import InputError

RENDERED = {"training": 380, "evaluation": 20}
FEW = {"training": 8, "evaluation": 12}
IMAGE_PX = (160, 320)
ROUNDS = 3
ROWS = [f"rhd-2d-v{variant}" for variant in (1, 2, 3, 4)] + [f"rhd-rgb-v{variant}" for variant in (1, 2, 3, 4)]
WORKERS = (1, 2)
PYTHON = sys.executable


def rendering_rows(folder: Path, profile: str) -> list[measure.Row]:
    """RHD's layout by stages.download on all cores; the time of a few frames, start-up, is taken off."""
    few = _rendering(folder, profile, FEW | {"image_px": min(IMAGE_PX)})
    sides = {"few": few, **{px: _rendering(folder, profile, RENDERED | {"image_px": px}) for px in IMAGE_PX}}
    found = measure.alternating(sides, ROUNDS, warm_up=0)
    more = sum(RENDERED.values()) - sum(FEW.values())
    start_s = [one.seconds for one in found.pop("few")]
    rates = {
        px: [more / (one.seconds - start) for one, start in zip(runs, start_s, strict=True)]
        for px, runs in found.items()
    }
    small, large = IMAGE_PX
    against = {px: f"at {other} px" for px, other in ((small, large), (large, small))}
    return [
        measure.Row(
            f"rendering rhd, {px} px, {workers.cores()} processes",
            f"{measure.spread(of_size).text(0)} images/s after {measure.spread(start_s).median:.1f} s of start-up",
            against[px],
            measure.ratios(of_size, rates[large if px == small else small]),
            "150 images/s at the size of profile small",
            max(one.peak_mb for one in found[px]),
        )
        for px, of_size in rates.items()
    ]


def _rendering(folder: Path, profile: str, sizes: dict[str, int]):
    name = f"rendering-{sizes['image_px']}-{sizes['training']}"
    workspace = data.workspace(folder / name, profile, {"rhd": sizes})
    return lambda: data.stage(workspace, "download", "rhd")


def pipeline_rows(folder: Path, profile: str) -> list[measure.Row]:
    """The grid in fresh clones of HEAD; then, where it has run, evaluation and report."""
    clones = {number: clone(folder / f"grid-{number}", profile) for number in WORKERS}
    runs = {number: grid(at, number, profile) for number, at in clones.items()}
    refused = next((run for run in runs.values() if isinstance(run, str)), None)
    if refused is not None:
        return [measure.Row(f"the grid, {len(ROWS)} rows, by workers", f"not measured: {refused}")]
    one, two = (runs[number] for number in WORKERS)
    what = f"the grid, profile {profile}, {len(ROWS)} rows of rhd and the report, {WORKERS[1]} workers"
    ratio = measure.spread([one.seconds / two.seconds])
    against = f"{WORKERS[0]} worker, {one.seconds:.0f} s"
    found = [measure.Row(what, f"{two.seconds:.0f} s", against, ratio, "1.6", max(one.peak_mb, two.peak_mb))]
    return found + program_rows(clones[WORKERS[1]])


def clone(at: Path, profile: str) -> Path:
    """HEAD, with the profile set and RHD preprocessed, so that the grid's time is that of its rows."""
    subprocess.run(["git", "clone", "--quiet", measure.REPOSITORY, at], check=True)
    measure.command([PYTHON, "-m", "dvc", "config", "core.analytics", "false", "--local"], at)
    settings = at / "params.yaml"
    settings.write_text(re.sub(data.PROFILE, f"profile: {profile}", settings.read_text()))
    measure.command([PYTHON, "-m", "dvc", "repro", "preprocess@rhd"], at, **environment())
    return at


def grid(at: Path, number: int, profile: str) -> measure.Finished | str:
    """stages.grid on ROWS, or why it could not be measured."""
    try:
        return measure.command([PYTHON, "-m", "stages.grid", *ROWS, "--workers", number], at, **environment())
    except InputError as error:
        return str(error)


def program_rows(at: Path) -> list[measure.Row]:
    """stages.evaluate, stages.report and a `dvc repro` of what is done, each against its own imports."""
    targets = [f"evaluate_paper@{row}" for row in ROWS]
    programs: dict[str, tuple[Sequence[str], Sequence[str], str]] = {
        f"evaluation of {ROWS[-1]}": (["-m", "stages.evaluate", ROWS[-1]], ["-c", "import stages.evaluate"], ""),
        f"report of {len(ROWS)} rows": (["-m", "stages.report"], ["-c", "import stages.report"], ""),
        f"dvc repro of {len(ROWS)} rows with nothing to do": (
            ["-m", "dvc", "repro", *targets],
            ["-m", "dvc", "--version"],
            "5 s for the whole grid",
        ),
    }
    found = []
    for what, (program, start, held_to) in programs.items():
        sides = {
            name: lambda arguments=arguments: measure.command([PYTHON, *arguments], at, **environment())
            for name, arguments in (("program", program), ("start", start))
        }
        runs = measure.alternating(sides, ROUNDS, warm_up=0)
        seconds, starts = ([one.seconds for one in runs[name]] for name in sides)
        against = f"its start alone, {measure.spread(starts).median:.1f} s"
        peak_mb = max(one.peak_mb for one in runs["program"])
        text = f"{measure.spread(seconds).text(1)} s"
        found.append(measure.Row(what, text, against, measure.ratios(seconds, starts), held_to, peak_mb))
    return found


def environment() -> dict[str, str]:
    """For programs in a clone: its own code, and `python` is this one."""
    return {"PYTHONPATH": "", "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
