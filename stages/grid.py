"""Rows of the grid, from raw data to the report.

A set (rhd, stb, rhd+stb, icvl, nyu, msra) stands for all rows trained on it; without a name everything runs.
Only what the rows need is downloaded, or rendered, and trained; the report then shows what is there. -S changes
params.yaml first, as in `dvc exp run`:
python -m stages.grid rhd -S data.rhd.source=/data/RHD_published_v2 -S profile=paper
Rows are trained by several workers at once, one a GPU or, without one, one a core; --workers 1: one after the other.
Killed or stopped by Ctrl-C it goes on when started again, and ends in the same bytes. docs/grid.md has more.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from handvae.base import atomic, params
from handvae.base.errors import InputError
from handvae.base.workers import cores
from handvae.detection import settings
from stages import command_line, run
from stages.parallel import clones, cluster
from stages.parallel.processes import Interrupts
from stages.parallel.record import Record

PARAMS = Path("params.yaml")
REPRO = [*clones.DVC, "repro"]
COST = {"joints_2d": 1, "resnet18": 8, "resnet50": 20}  # of a step on one pair, roughly


def main(*arguments: str) -> None:
    given = parsed(arguments)
    with clones.held(Path.cwd()):
        before = PARAMS.read_text()
        try:
            if given.set_param:
                set_params(given.set_param)
            loaded = params.load(PARAMS)
            targets = commands(given.names, loaded.experiments)
            workers = number_of_workers(given.workers)
            if not given.names:
                settings.load().steps_at(loaded.profile_name)  # it trains the detector too, last of all
        except BaseException:
            if given.set_param:
                atomic.write_text(PARAMS, before)
            raise
        with Record(Path.cwd(), loaded.profile_name, workers or cores()) as record:
            interrupts = Interrupts()
            interrupts.listen()
            if workers == 1:
                left = rows(given.names, loaded.experiments) or list(loaded.experiments)
            else:
                left = train_together(given.names, loaded, workers, interrupts, record)
            for command in targets:
                repro(command, interrupts)
            record.line["rows"] += left


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = command_line("stages.grid", __doc__)
    parser.add_argument("names", nargs="*", metavar="row|set")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="key=value")
    parser.add_argument("--workers", type=int, metavar="n")
    given = parser.parse_intermixed_args(arguments)
    if given.workers is not None and given.workers < 1:
        parser.error(f"--workers: expected 1 or more, found {given.workers}")
    return given


def set_params(changes: Iterable[str]) -> None:
    """Change params.yaml by DVC's own grammar. InputError for a key that is not there."""
    from dvc.exceptions import DvcException
    from dvc.utils.hydra import apply_overrides

    try:
        apply_overrides(PARAMS, list(changes))
    except DvcException as error:
        raise InputError(f"-S {' -S '.join(changes)}: {error}: {error.__cause__}") from error


def number_of_workers(asked: int | None) -> int | None:
    """1 if rows are trained one after the other; the number asked for; or None for as many as Ray finds GPUs or cores.

    InputError if so many are impossible. If no number is asked for, Ray is looked for when rows wait for it.
    """
    if asked == 1 or (asked is None and cores() == 1 and not os.environ.get("RAY_ADDRESS")):
        return 1
    if asked or os.environ.get("RAY_ADDRESS"):
        cluster.refuse_if_impossible(asked, cores())
    return asked


def rows(names: Iterable[str], experiments: dict[str, params.Experiment]) -> list[str]:
    """The rows that are named, alone or by their set, in the grid's order."""
    chosen: set[str] = set()
    for name in names:
        set_rows = {row for row, experiment in experiments.items() if experiment.dataset == name}
        if name not in experiments and not set_rows:
            sets = dict.fromkeys(experiment.dataset for experiment in experiments.values())
            known = ", ".join([*sets, *experiments])
            raise InputError(f"stages.grid: expected sets or rows of {PARAMS}: {known}; found {name!r}")
        chosen |= {name} if name in experiments else set_rows
    return [row for row in experiments if row in chosen]


def commands(names: Sequence[str], experiments: dict[str, params.Experiment]) -> list[list[str]]:
    """The commands of DVC: the rows with all that they depend on, then the report of what is there, and it in words."""
    if not names:
        return [REPRO]
    return [
        [*REPRO, *(f"evaluate_paper@{row}" for row in rows(names, experiments))],
        # by force: a report that DVC takes for unchanged may be of another params.yaml than rows that were left alone
        [*REPRO, "--single-item", "--force", "report", "reproduction"],
    ]


def repro(command: Sequence[str], interrupts: Interrupts) -> None:
    """A command of DVC in the workspace; where it fails, this program ends with its exit code."""
    if code := interrupts.run(command, Path()):
        sys.exit(code)


def stages_of(row: str) -> list[str]:
    """The stages that train and score a row. One's own experiment is scored at home: its page shows the rows there."""
    return ["train"] if row == params.OWN else [f"train_paper@{row}", f"evaluate_paper@{row}"]


def cost(row: str, loaded: params.Params) -> int:
    """How long a row trains, in no unit: longest rows are trained first, so that the last ones end together."""
    experiment = loaded.experiment(row)
    training = loaded.training(experiment)
    network = experiment.input if experiment.input == "joints_2d" else experiment.encoder
    samples = loaded.models_of(row) * training.steps * training.batch_size
    return samples * len(loaded.pairs(experiment)) * COST[network]


def due(chosen: Sequence[str], loaded: params.Params) -> list[str]:
    """Those of the rows that DVC would run, or take from its cache, the longest first."""
    command = [*clones.DVC, "status", "--json", *(stage for row in chosen for stage in stages_of(row))]
    status = subprocess.run(command, capture_output=True, text=True)
    if status.returncode:
        raise InputError(f"dvc status: {' '.join(status.stderr.split())}")
    changed = set(json.loads(status.stdout))
    is_due = [row for row in chosen if changed & set(stages_of(row))]
    return sorted(is_due, key=lambda row: cost(row, loaded), reverse=True)


def train_together(
    names: Sequence[str], loaded: params.Params, workers: int | None, interrupts: Interrupts, record: Record
) -> list[str]:
    """Train and score the rows in clones of this workspace. DVC here then finds them in its cache.

    Returns what is left to DVC here: a row that is alone. Ends the program with exit code 1 if a row failed, after the
    others, which are brought here.
    """
    home, chosen = Path.cwd(), rows(names, loaded.experiments) or [params.OWN, *loaded.experiments]
    sets = {experiment.dataset: experiment.datasets for experiment in map(loaded.experiment, chosen)}
    repro([*REPRO, *("combine" if "+" in name else f"preprocess@{name}" for name in sets)], interrupts)
    waiting = due(chosen, loaded)
    if not waiting or (len(waiting) == 1 and not os.environ.get("RAY_ADDRESS")):
        record.line["workers"] = 1
        return waiting
    cluster.refuse_if_impossible(workers, cores())
    workers, gpu_share = cluster.connect(workers, len(waiting), cores(), on_gpu=loaded.device != "cpu")
    interrupts.listen()  # Ray has put its own in place
    record.line["workers"] = workers
    files = {f"data/processed/{name}.h5" for together, apart in sets.items() for name in (together, *apart)}
    folders = clones.make(home, workers, sorted(files))
    progress = Progress({row: cost(row, loaded) for row in waiting}, workers, record)
    tasks = [(row, ["-m", "dvc", "repro", "--single-item", *stages_of(row)]) for row in waiting]
    outcomes = cluster.run_rows(home, folders, tasks, gpu_share, lambda: interrupts.noted, progress.done)
    cluster.disconnect()
    if failed := [outcome.row for outcome in outcomes if outcome.error]:
        finished = [outcome.row for outcome in outcomes if not outcome.error]
        if finished:
            repro([*REPRO, "--quiet", *(stages_of(row)[-1] for row in finished)], interrupts)
        others = "; the others are finished" if finished else ""
        raise InputError(f"{len(failed)} of {len(waiting)} rows failed: {', '.join(failed)}{others}")
    clones.remove(home)
    return []


class Progress:
    """A line for each row that has ended: how many have, and about how long the others take."""

    def __init__(self, costs: dict[str, int], workers: int, record: Record):
        self.costs, self.workers, self.record = costs, workers, record
        self.waiting, self.trained_s = dict(costs), {}
        print(f"{len(costs)} rows, {workers} at a time; their output is in {clones.GRID}/logs", flush=True)

    def done(self, outcome: cluster.Outcome, running_s: dict[str, float]) -> None:
        """`running_s`: for how long each row that is now at work has been."""
        del self.waiting[outcome.row]
        if outcome.error:
            print(f"error: {outcome.row}: {outcome.error}", file=sys.stderr, flush=True)
            return
        self.record.line["rows"].append(outcome.row)
        self.record.write()
        if outcome.ran:
            self.trained_s[outcome.row] = outcome.seconds
        how = f"in {clock(outcome.seconds)}" if outcome.ran else "from the cache"
        number = len(self.costs) - len(self.waiting)
        print(f"{number} of {len(self.costs)} rows, {outcome.row} {how}{self.left(running_s)}", flush=True)

    def left(self, running_s: dict[str, float]) -> str:
        """The minutes that are left, from the seconds that trained rows took for their cost."""
        if not self.trained_s or not self.waiting:
            return ""
        rate = sum(self.trained_s.values()) / sum(self.costs[row] for row in self.trained_s)
        left_s = sum(max(0.0, rate * cost - running_s.get(row, 0.0)) for row, cost in self.waiting.items())
        return f", about {max(1, round(left_s / self.workers / 60))} min left"


def clock(seconds: float) -> str:
    return time.strftime("%-H:%M:%S" if seconds >= 3600 else "%-M:%S", time.gmtime(seconds))


if __name__ == "__main__":
    run(main, *sys.argv[1:])
