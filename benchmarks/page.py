"""The page of benchmarks: the machine, and a table. A module of its own, to spare measured processes its imports."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks import measure
from benchmarks.measure import Row
from handvae.base import workers
from handvae.report.text import markdown_table

PACKAGES = ("torch", "torchvision", "numpy", "h5py", "pillow", "dvc")
HEADER = ["what", "measured", "against", "ratio: median (lowest–highest)", "held to", "largest process, MB"]


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    cells = [
        [
            row.what,
            row.measured,
            row.against,
            row.ratio.text() if row.ratio else "",
            row.held_to,
            f"{row.peak_mb:,.0f}" if row.peak_mb else "",
        ]
        for row in rows
    ]
    return markdown_table(HEADER, cells)


def sections(text: str) -> dict[str, str]:
    """The sections of a page, by their headings."""
    return {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in f"\n{text}".split("\n## ")[1:]}


def machine() -> str:
    """The machine, versions, commit and date, in a few lines."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    gpu = f"; {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    others = f"load average {os.getloadavg()[0]:.1f} before it began"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}. {processor()}, {workers.cores()} cores, {memory_gb:.0f} GB"
        f"{gpu}; {others}.\n{platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}."
    )


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """The commit of the measured code; "and changes" where it is not as committed."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(measure.REPOSITORY), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + " and changes" * bool(git("status", "--porcelain"))
