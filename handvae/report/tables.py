"""Results of experiments, and the paper's tables of joint errors filled with them.

`read_result` checks that an experiment's two files, its predictions and its metrics, belong to the experiment as it
stands in params.yaml, so that no table is made from what an earlier setting left behind.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd

from handvae.base.errors import InputError
from handvae.base.params import Experiment
from handvae.report import paper
from handvae.report.table_text import cell

STATISTICS = {"epe_mean_mm": "mean EPE", "epe_median_mm": "median EPE"}
# the same over hidden joints too, which is what [38]'s 2D->3D evaluation counts: a column of its own beside that task's
ALL_JOINTS = {"epe_mean_mm": "epe_mean_all_joints_mm", "epe_median_mm": "epe_median_all_joints_mm"}
ALL_JOINTS_TASK: paper.Task = ("rhd", "joints_2d")
ENDS = ("", "_low", "_high")  # of a statistic's name: the number, the ends of its interval
WITHIN = 0.05  # a number so near to the paper's, relative to it, is worth the word, though outside our interval


class OtherSettingsError(InputError):
    """Results that are whole, but not of the settings or the data that they are read for; `why` says so in words."""

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True)
class Result:
    """One experiment of the grid: its settings, what its data is, its metrics, and where its predictions lie."""

    experiment: str
    dataset: str
    input: str
    variant: int | str  # 1 to 4, or of figures 1, 6, 8 and 9: "cross", "separate"
    invariances: str
    encoder: str
    test_subject: str  # the one left out of the training, "" where the set has a test split
    label_fraction: float  # of the training samples whose 3D joints were given
    profile: str
    source: str  # what the data is, in words
    synthetic: bool
    published: bool  # the set the paper evaluates on
    metrics: dict[str, float]
    predictions: Path

    @property
    def task(self) -> paper.Task:
        return (self.dataset, self.input)

    @property
    def data(self) -> str:
        """What the numbers were made from: never a number without it."""
        tested = (
            "each fold tested on the subject it leaves out"
            if self.test_subject
            else f"{self.metrics['frames']:,} test frames"
        )
        return f"{self.named_source}; profile {self.profile}; {tested}"

    @property
    def named_source(self) -> str:
        name = self.dataset.upper()
        return self.source if self.source.startswith(name) else f"{name}: {self.source}"

    @property
    def seeds(self) -> int:
        """How many models, alike but for their training seed."""
        return self.metrics.get("seeds", 1)

    @property
    def kind(self) -> str:
        return "published" if self.published else "synthetic" if self.synthetic else "other data"

    @property
    def compared(self) -> bool:
        """Trained on all labels and one of variants 1 to 4: what the tables of errors and the curves are about."""
        return self.label_fraction == 1 and isinstance(self.variant, int)

    @property
    def papers_encoder(self) -> bool:
        """ResNet-18, by which the paper encodes its colour images; joints have no image encoder."""
        return self.input == "joints_2d" or self.encoder == "resnet18"


def read_result(predictions: Path, metrics: Path, expected: dict[str, str | int | float]) -> Result:
    """The result in `predictions` (HDF5) and `metrics` (JSON).

    `expected` holds the attributes that the predictions must carry. Raises InputError naming the file that is missing
    or broken, OtherSettingsError where it does not fit.
    """
    attributes, counts = _read_predictions_header(predictions, expected)
    numbers = _read_metrics(metrics, depth=expected["input"] == "depth")
    for what, count in counts.items():
        if (found := numbers.get(what, 1)) != count:
            message = f"{metrics}: expected the {count} {what} of {predictions}, found {found}"
            raise OtherSettingsError(message, f"metrics and predictions of different {what}")
    fields = {key: attributes[key] for key in (*expected, "source", "synthetic", "published")}
    return Result(**fields, metrics=numbers, predictions=predictions)


def expected_of(name: str, experiment: Experiment, profile: str) -> dict[str, str | int | float]:
    """What `read_result` expects of an experiment of params.yaml."""
    keys = ("dataset", "input", "variant", "invariances", "encoder", "label_fraction")
    return {
        "experiment": name,
        **{key: getattr(experiment, key) for key in keys},
        "test_subject": experiment.test_subject or "",
        "profile": profile,
    }


def _read_predictions_header(
    path: Path, expected: dict[str, str | int | float]
) -> tuple[dict[str, str | int | float | bool], dict[str, int]]:
    """The file's attributes as plain Python values, and its numbers of frames and seeds."""
    try:
        with h5py.File(path) as file:
            attributes = {key: value.item() if hasattr(value, "item") else value for key, value in file.attrs.items()}
            counts = {"frames": len(file["row"]), "seeds": 1 + sum(name.startswith("seed-") for name in file)}
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected the predictions that the evaluate stage writes, found: {error}") from error
    for key, value in expected.items():
        if (found := attributes.get(key)) != value:
            message = f"{path}: expected {key} {value!r} as in params.yaml, found {found!r}"
            if key not in attributes:
                raise InputError(message)
            raise OtherSettingsError(message, f"results of {key} {found!r} where params.yaml has {value!r}")
    for key in ("source", "synthetic", "published"):
        if key not in attributes:
            raise InputError(f"{path}: expected the attribute {key}, found {', '.join(attributes)}")
    return attributes, counts


def _read_metrics(path: Path, depth: bool) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    ends = ["", "_low", "_high", *(["_sd"] if "seeds" in numbers else [])]
    keys = [*(f"epe_mean_mm{end}" for end in ends), "epe_median_mm", "mean_pose_epe_mm", "frames", "blocks"]
    if not depth:
        keys += [f"{statistic}{end}" for statistic in ("epe_median_mm", *ALL_JOINTS.values()) for end in ends]
        keys += ["auc_20_50", "auc_21_50", "auc_0_50"]
    for key in keys:
        if key not in numbers:
            raise InputError(f"{path}: expected the key {key}, found {', '.join(numbers)}")
    # JSON has no NaN: null is the end of an interval that there is not
    return {key: math.nan if value is None else value for key, value in numbers.items()}


def joint_table(results: list[Result], printed: paper.PrintedTable) -> pd.DataFrame:
    """Long form of Table 1, 2, 5 or 6: one row for each experiment that fills a cell, in the paper's order of cells."""
    statistic = printed.statistic
    rows = []
    for task in paper.TASKS:
        for row in printed.rows_mm:
            for result in _filling(results, task, printed, row):
                paper_mm = printed.cell_mm(row, task)
                cells = {
                    "task": paper.TASKS[task],
                    "variant": result.variant,
                    "invariances": result.invariances,
                    "experiment": result.experiment,
                    **numbers_of(result, statistic),
                    f"paper_{statistic}": paper_mm,
                    "difference_mm": result.metrics[statistic] - paper_mm,
                    "verdict": verdict(result, interval_of(result, statistic), paper_mm),
                    **_of_all_joints(result, statistic, paper_mm),
                    "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
                    "blocks": result.metrics["blocks"],
                    "kind": result.kind,
                    "data": result.data,
                }
                rows.append(cells)
    names = ("task", "variant", "invariances", "experiment", statistic, f"{statistic}_low", f"{statistic}_high")
    names += (f"paper_{statistic}", "difference_mm", "verdict", *_all_joints_names(statistic))
    return frame_of(rows, (*names, "mean_pose_epe_mm", "blocks", "kind", "data"))


def _all_joints_names(statistic: str) -> tuple[str, ...]:
    name = ALL_JOINTS[statistic]
    return (*(f"{name}{end}" for end in ENDS), f"paper_{name}", "all_joints_verdict")


def _of_all_joints(result: Result, statistic: str, paper_mm: float) -> dict[str, object]:
    """The statistic over hidden joints too, blank but for 2D->3D; the paper does not say of which joints its number is,
    so that the same stands beside both."""
    names = _all_joints_names(statistic)
    if result.task != ALL_JOINTS_TASK:
        return dict.fromkeys(names[:-1], math.nan) | {names[-1]: ""}
    interval = interval_of(result, names[0])
    columns = dict(zip(names, (*interval, paper_mm, verdict(result, interval, paper_mm)), strict=True))
    return columns | ({f"{names[0]}_sd": result.metrics[f"{names[0]}_sd"]} if result.seeds > 1 else {})


def frame_of(rows: list[dict[str, object]], names: tuple[str, ...]) -> pd.DataFrame:
    """The rows as a table; one without rows has its columns, `names`, so that every CSV file has a header."""
    frame = pd.DataFrame(rows, columns=None if rows else list(names))
    for name in frame.columns:
        if name.endswith("seeds"):
            frame[name] = frame[name].astype("Int64")  # a number of models, also where some rows have none
    return frame


def numbers_of(result: Result, statistic: str) -> dict[str, float]:
    """A statistic with its interval and, where there are several seeds, its standard deviation over them."""
    keys = [f"{statistic}{end}" for end in ENDS]
    return {key: result.metrics[key] for key in keys + (["seeds", f"{statistic}_sd"] if result.seeds > 1 else [])}


def interval_of(result: Result, statistic: str) -> tuple[float, float, float]:
    """A statistic and the ends of its interval."""
    return tuple(result.metrics[f"{statistic}{end}"] for end in ENDS)


def verdict(result: Result, interval: tuple[float, float, float], printed: float | None) -> str:
    """Where the paper's number lies with respect to ours, (number, low, high), if both are of the same images."""
    if printed is None:
        return "not printed"
    if not result.published:
        return f"not comparable ({result.kind})"
    ours, low, high = interval
    if low <= printed <= high:
        return "inside interval"
    return f"within {100 * WITHIN:.0f} %" if abs(ours - printed) <= WITHIN * printed else "outside"


def best(results: list[Result], task: paper.Task) -> Result | None:
    """The experiment of a task, with T+S+H where it is colour, of the lowest mean EPE; None where the task has none."""
    of_task = [r for r in results if r.compared and r.task == task and (r.input == "depth" or r.invariances == "T+S+H")]
    return min(of_task, key=lambda result: result.metrics["epe_mean_mm"], default=None)


def _filling(results: list[Result], task: paper.Task, printed: paper.PrintedTable, row: int | str) -> list[Result]:
    model = (task, printed.model(row, task))
    of_model = [r for r in results if (r.task, (r.variant, r.invariances)) == model]
    return [result for result in of_model if result.compared and result.papers_encoder]


def matrix(frame: pd.DataFrame, printed: paper.PrintedTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a printed table, as text, from its long form; 2D->3D also over all joints."""
    rows, columns = [], [(task, False) for task in paper.TASKS]
    columns.insert(columns.index((ALL_JOINTS_TASK, False)) + 1, (ALL_JOINTS_TASK, True))
    if not isinstance(next(iter(printed.rows_mm)), int):
        baseline_mm = dict(zip(paper.TASKS, paper.BASELINE_MM[printed.statistic], strict=True))
        rows.append(["[38], T+S+H", *(f"paper {baseline_mm[task]:.2f}" for task, _ in columns)])
    for row in printed.rows_mm:
        name = f"Var. {row}" if isinstance(row, int) else f"ours, {row}"
        rows.append([name, *(_cell(frame, printed, row, *column) for column in columns)])
    if printed.statistic == "epe_mean_mm":
        still = ("" if all_joints else _mean_pose(frame, task) for task, all_joints in columns)
        rows.append(["Mean pose of the training set", *still])
    return ["", *(paper.TASKS[task] + ", all joints" * all_joints for task, all_joints in columns)], rows


def _cell(frame: pd.DataFrame, printed: paper.PrintedTable, row: int | str, task: paper.Task, all_joints: bool) -> str:
    variant, invariances = printed.model(row, task)
    found = frame[
        (frame["task"] == paper.TASKS[task]) & (frame["variant"] == variant) & (frame["invariances"] == invariances)
    ]
    shown = (ALL_JOINTS[printed.statistic], 2, "all_joints_verdict") if all_joints else (printed.statistic,)
    texts = [cell(one, *shown) for one in found.to_dict("records")]
    if len(texts) > 1:
        texts = [f"{name}:\n{text}" for name, text in zip(found["experiment"], texts, strict=True)]
    return "\n".join(texts) or f"–\npaper {printed.cell_mm(row, task):.2f}"


def _mean_pose(frame: pd.DataFrame, task: paper.Task) -> str:
    of_task = frame[frame["task"] == paper.TASKS[task]]
    texts = (f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in of_task.itertuples())
    return "\n".join(dict.fromkeys(texts)) or "–"
