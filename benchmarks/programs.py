"""Rendering, evaluation, report, a `dvc repro` with nothing to do, the grid with one worker and with two.

Whole programs, as somebody calls them, their start included unless a row says otherwise.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import data, measure
from handvae.base import workers

RENDERED = {"training": 1980, "evaluation": 20}  # of 400 images the rate is two thirds
FEW = {"training": 8, "evaluation": 12}
IMAGE_PX = (160, 320)
ROUNDS = 3
ROWS = [f"rhd-{modality}-v{variant}" for modality in ("2d", "rgb") for variant in (1, 3)]
WORKERS = (1, 2)
PYTHON = sys.executable


def rendering_rows(folder: Path, profile: str) -> list[measure.Row]:
    """RHD's layout by stages.download on all cores; the time of a few frames, start-up, is taken off."""
    few = _rendering(folder, profile, FEW | {"image_px": min(IMAGE_PX)})
    sides = {"few": few, **{px: _rendering(folder, profile, RENDERED | {"image_px": px}) for px in IMAGE_PX}}
    runs = measure.alternating(sides, ROUNDS, warm_up=0)
    more = sum(RENDERED.values()) - sum(FEW.values())
    start_s = [run.seconds for run in runs.pop("few")]
    rates = {
        px: [more / (run.seconds - start) for run, start in zip(of_size, start_s, strict=True)]
        for px, of_size in runs.items()
    }
    small, large = IMAGE_PX
    return [
        measure.Row(
            f"rendering rhd, {px} px, {workers.cores()} processes",
            f"{measure.spread(rates[px]).text(0)} images/s after {measure.spread(start_s).median:.1f} s of start-up",
            f"at {other} px",
            measure.ratios(rates[px], rates[other]),
            "150 images/s at the size of profile small",
            max(run.peak_mb for run in runs[px]),
        )
        for px, other in ((small, large), (large, small))
    ]


def _rendering(folder: Path, profile: str, sizes: dict[str, int]) -> Callable[[], measure.Finished]:
    name = f"rendering-{sizes['image_px']}-{sizes['training']}"
    workspace = data.workspace(folder / name, profile, {"rhd": sizes})
    return lambda: data.stage(workspace, "download", "rhd")


def pipeline_rows(folder: Path, profile: str) -> list[measure.Row]:
    """In fresh clones of HEAD: some rows of the grid with one worker and with two, then evaluation and report of what
    they left; all rows at profile tiny, which is starts and DVC alone, and then a `dvc repro` with nothing to do."""
    clones = {number: clone(folder / f"grid-{number}", profile) for number in WORKERS}
    (alone, together), most = (grid(path, number, ROWS) for number, path in clones.items()), WORKERS[-1]
    against, ratio = f"{WORKERS[0]} worker, {alone.seconds:.0f} s", measure.spread([alone.seconds / together.seconds])
    what = f"the grid, profile {profile}, {len(ROWS)} rows of rhd and the report, {most} workers"
    peak_mb = max(alone.peak_mb, together.peak_mb)
    rows = [
        measure.Row(what, f"{together.seconds:.0f} s", against, ratio, "1.6", peak_mb),
        program_row(clones[most], f"evaluation of {ROWS[-1]}", ["-m", "stages.evaluate", ROWS[-1]], "stages.evaluate"),
        program_row(clones[most], f"report of {len(ROWS)} rows", ["-m", "stages.report"], "stages.report"),
    ]
    whole = grid(all_rows := clone(folder / "whole", "tiny"), most, [])
    what = f"the whole grid at profile tiny, a few steps a row, {most} workers"
    rows.append(measure.Row(what, f"{whole.seconds:.0f} s", peak_mb=whole.peak_mb))
    nothing = ["-m", "dvc", "repro"]
    return [*rows, program_row(all_rows, "dvc repro with nothing to do", nothing, "dvc.repo.reproduce", "5 s")]


def clone(path: Path, profile: str) -> Path:
    """HEAD, with the profile set and RHD preprocessed, so that the grid's time is that of its rows."""
    subprocess.run(["git", "clone", "--quiet", measure.REPOSITORY, path], check=True)
    measure.command([PYTHON, "-m", "dvc", "config", "core.analytics", "false", "--local"], path)
    settings = path / "params.yaml"
    settings.write_text(re.sub(data.PROFILE, f"profile: {profile}", settings.read_text()))
    measure.command([PYTHON, "-m", "dvc", "repro", "preprocess@rhd"], path, **environment())
    return path


def grid(path: Path, number: int, rows: list[str]) -> measure.Finished:
    """stages.grid on some rows, or on all where none is named."""
    return measure.command([PYTHON, "-m", "stages.grid", *rows, "--workers", number], path, **environment())


def program_row(path: Path, what: str, program: list[str], imported: str, held_to: str = "") -> measure.Row:
    """A program against the start of Python and its imports."""
    sides = {
        name: lambda arguments=arguments: measure.command([PYTHON, *arguments], path, **environment())
        for name, arguments in (("program", program), ("start", ["-c", f"import {imported}"]))
    }
    runs = measure.alternating(sides, ROUNDS, warm_up=0)
    seconds, starts = ([run.seconds for run in runs[name]] for name in sides)
    against = f"its start alone, {measure.spread(starts).median:.1f} s"
    peak_mb = max(run.peak_mb for run in runs["program"])
    return measure.Row(
        what, f"{measure.spread(seconds).text(1)} s", against, measure.ratios(seconds, starts), held_to, peak_mb
    )


def environment() -> dict[str, str]:
    """For programs in a clone: its own code, and `python` is this one."""
    return {"PYTHONPATH": "", "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
