"""The report as a folder to commit.

The folder, results/night for example, gets the tables, claims, figures, metrics, the page, params.yaml and dvc.lock of
the run that reports/ holds, and README.md, which says how it was made. Refused where reports/ is not what params.yaml
and the code make, or where the code is not that of the commit which README.md names.
"""

import json
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from handvae.base import atomic, params, workers, yaml_text
from handvae.base.errors import InputError
from handvae.report import pages, tables_page
from stages import command_line, run

REPORTS, RUNS = Path("reports"), Path(".grid/runs.jsonl")
FOLDERS = ("tables", "figures", "metrics")
CODE = ("handvae", "stages", "notebooks", "dvc.yaml")
NAMED = 3  # stages that an error names


def main(*words: str) -> None:
    parser = command_line("stages.snapshot", __doc__)
    parser.add_argument("folder", type=Path)
    target, settings = parser.parse_args(words).folder, params.load()
    check_target(target)
    commit = commit_of_code()
    check_up_to_date(REPORTS, ["report"], "python -m stages.grid")
    facts = {
        "profile": settings.profile_name,
        "commit": commit,
        "made by": command(commit),
        "versions": versions(),
        "machine": machine(),
        "time": time_text(RUNS, settings.profile_name, commit),
        "models": models_text(settings),
    }
    tables = [pd.read_csv(REPORTS / f"tables/{name}.csv") for name in ("table1", "depth")]
    page, summary = (REPORTS / "index.html").read_text(), (REPORTS / "tables/summary.md").read_text()
    with atomic.replacing_folder(target) as partial:
        for name in FOLDERS:
            shutil.copytree(REPORTS / name, partial / name)
        # one's own experiment is no part of the run
        (partial / "index.html").write_text(page.replace(f"<p>{pages.OWN_LINK}</p>\n", ""))
        for name in ("params.yaml", "dvc.lock"):
            shutil.copy(name, partial / name)
        (partial / "README.md").write_text(tables_page.snapshot_page(facts, summary, *tables))
    sizes = [path.stat().st_size for path in target.rglob("*") if path.is_file()]
    print(f"snapshot: wrote {target}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB; time: {facts['time']}")


def check_target(target: Path) -> None:
    """InputError where the folder holds anything but an earlier snapshot: it is replaced whole."""
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: expected a folder, or a new one, found a file")
    page = target / "README.md"
    earlier = page.is_file() and page.read_text().startswith(tables_page.SNAPSHOT_MARK)
    if target.is_dir() and any(target.iterdir()) and not earlier:
        raise InputError(f"{target}: expected a new folder or an earlier snapshot, found other files; name another")


def commit_of_code() -> str:
    """The commit that is checked out. InputError where the code is not as it is there."""
    commit = output("git", "rev-parse", "HEAD").strip()
    if lines := output("git", "status", "--porcelain", "--", *CODE).splitlines():
        names = ", ".join(line[3:] for line in lines[:NAMED])
        raise InputError(f"{names}: expected the code as in commit {commit[:12]}, found changes; commit them first")
    return commit


def check_up_to_date(subject: object, targets: Sequence[str], remedy: str) -> None:
    """InputError, which names `subject`, where stages are not what params.yaml and the code make of their inputs."""
    if stages := list(dvc_status(targets)):
        more = f" and {len(stages) - NAMED} more" * (len(stages) > NAMED)
        raise InputError(
            f"{subject}: expected the results of params.yaml as it is, found changes (dvc status) in "
            f"{', '.join(stages[:NAMED])}{more}; run `{remedy}`"
        )


def dvc_status(targets: Sequence[str]) -> dict[str, object]:
    """The stages from raw data to these that DVC would run again, by name."""
    return json.loads(output(sys.executable, "-m", "dvc", "status", "--json", "--with-deps", *targets))


def command(commit: str, rows: Sequence[str] = ()) -> str:
    """What makes the run, or some of its rows, in a checkout of the commit, in Markdown."""
    before = yaml_text.load(output("git", "show", f"{commit}:params.yaml"))
    changes = changed(before, yaml_text.load(Path("params.yaml").read_text()))
    program = " ".join(["python -m stages.grid", *rows])
    if changes is None:
        return f"`{program}`, with the params.yaml of this folder"
    return f"`{' '.join([program, *(f'-S {shlex.quote(change)}' for change in changes)])}`"


def changed(before: object, after: object, key: str = "") -> list[str] | None:
    """The values that differ, as key=value of -S; None where keys were added or removed, which -S cannot do."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        value = after if isinstance(after, str) else json.dumps(after, separators=(",", ":"))
        return [] if before == after else [f"{key}={value}"]
    if list(before) != list(after):
        return None
    parts = [changed(before[name], after[name], f"{key}.{name}" if key else str(name)) for name in before]
    return None if None in parts else [change for part in parts for change in part]


def versions() -> str:
    return f"Python {platform.python_version()}, torch {torch.__version__}"


def machine() -> str:
    """The processor and its cores, and the GPU where there is one."""
    facts, name = Path("/proc/cpuinfo"), platform.processor() or platform.machine()
    if facts.exists() and (model := re.search(r"^model name\s*: (.*\S)", facts.read_text(), re.MULTILINE)):
        name = model[1]
    gpu = f"; {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {workers.cores()} cores{gpu}"


def time_text(runs: Path, profile: str, commit: str) -> str:
    """How long the grid ran, in words, by the lines that stages.grid writes.

    Of this profile, at commits that have the code of `commit`, and only runs that did a row.
    """
    if not runs.exists():
        return f"not known: no {runs}, which stages.grid writes"
    times = []
    for number, line in enumerate(runs.read_text().splitlines(), 1):
        try:
            of_run = json.loads(line)
            if of_run["rows"] and of_run["profile"] == profile and same_code(of_run["commit"], commit):
                times.append((float(of_run["seconds"]), int(of_run["workers"])))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{runs}: line {number}: expected JSON with seconds, workers, rows, profile and commit, "
                f"found {line[:60]!r}; delete the line"
            ) from error
    if not times:
        return f"not known: no run of profile {profile} and this code in {runs}"
    seconds, workers = sum(length for length, _ in times), sorted({count for _, count in times})
    length = f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"
    several = f" in {len(times)} runs" * (len(times) > 1)
    return f"{length}{several}, {' or '.join(map(str, workers))} worker{'s' * (workers != [1])}"


def same_code(commit: str | None, other: str) -> bool:
    """Whether nothing of the code differs between two commits; False where one of them is not there."""
    command = ["git", "diff", "--quiet", commit or "", other, "--", *CODE]
    return commit == other or subprocess.run(command, capture_output=True).returncode == 0


def models_text(settings: params.Params) -> str:
    """How many models the grid has, and of how many seeds its rows are."""
    counts = sorted(Counter(settings.models_of(name) for name in settings.experiments).items())
    rows = [f"{rows} row{'s' * (rows > 1)} of {seeds} seed{'s' * (seeds > 1)}" for seeds, rows in counts]
    return f"{sum(seeds * rows for seeds, rows in counts)}: {', '.join(rows)}"


def output(*words: str) -> str:
    """What a program prints. InputError with its last line where it fails."""
    try:
        result = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise InputError(f"stages.snapshot: expected the program {words[0]}, found none") from error
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines() or ["nothing"]
        raise InputError(f"stages.snapshot: `{' '.join(words)}` failed and said: {said[-1]}")
    return result.stdout


if __name__ == "__main__":
    run(main, *sys.argv[1:])
