"""Results of experiments, and the paper's tables of joint errors filled with them.

`read_result` checks that an experiment's two files, its predictions and its metrics, belong to the experiment as it
stands in params.yaml, so that no table is made from what an earlier setting left behind.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd

from handvae.base.errors import InputError
from handvae.base.params import Experiment
from handvae.report import paper
from handvae.report.table_text import cell

STATISTICS = {"epe_mean_mm": "mean EPE", "epe_median_mm": "median EPE"}
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
    attributes, frames = _read_predictions_header(predictions, expected)
    numbers = _read_metrics(metrics, depth=expected["input"] == "depth")
    if numbers["frames"] != frames:
        message = f"{metrics}: expected the {frames} frames of {predictions}, found {numbers['frames']}"
        raise OtherSettingsError(message, "metrics and predictions of different frames")
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
) -> tuple[dict[str, str | int | float | bool], int]:
    """The file's attributes as plain Python values, and its number of frames."""
    try:
        with h5py.File(path) as file:
            attributes = {key: value.item() if hasattr(value, "item") else value for key, value in file.attrs.items()}
            frames = len(file["row"])
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
    return attributes, frames


def _read_metrics(path: Path, depth: bool) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    keys = ["epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high", "epe_median_mm", "mean_pose_epe_mm", "frames"]
    if not depth:
        keys += ["epe_median_mm_low", "epe_median_mm_high", "auc_20_50", "auc_21_50", "auc_0_50"]
    if "seeds" in numbers:
        keys += [f"seeds_{statistic}{end}" for statistic in STATISTICS for end in ("", "_sd")]
    for key in keys:
        if key not in numbers:
            raise InputError(f"{path}: expected the key {key}, found {', '.join(numbers)}")
    return numbers


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
                    "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
                    "kind": result.kind,
                    "data": result.data,
                }
                rows.append(cells)
    names = ("task", "variant", "invariances", "experiment", statistic, f"{statistic}_low", f"{statistic}_high")
    names += (f"paper_{statistic}", "difference_mm", "verdict", "mean_pose_epe_mm", "kind", "data")
    return frame_of(rows, names)


def frame_of(rows: list[dict[str, object]], names: tuple[str, ...]) -> pd.DataFrame:
    """The rows as a table; one without rows has its columns, `names`, so that every CSV file has a header."""
    frame = pd.DataFrame(rows, columns=None if rows else list(names))
    for name in frame.columns:
        if name.endswith("seeds"):
            frame[name] = frame[name].astype("Int64")  # a number of models, also where some rows have none
    return frame


def numbers_of(result: Result, statistic: str) -> dict[str, float]:
    """A statistic with its interval and, where there are several seeds, its mean and standard deviation over them."""
    keys = [f"{statistic}{end}" for end in ("", "_low", "_high")]
    if "seeds" in result.metrics:
        keys += ["seeds", f"seeds_{statistic}", f"seeds_{statistic}_sd"]
    return {key: result.metrics[key] for key in keys}


def interval_of(result: Result, statistic: str) -> tuple[float, float, float]:
    """A statistic and the ends of its interval."""
    return tuple(result.metrics[f"{statistic}{end}"] for end in ("", "_low", "_high"))


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
    """Header and rows of a printed table, as text, from its long form."""
    rows = []
    if not isinstance(next(iter(printed.rows_mm)), int):
        rows.append(["[38], T+S+H", *(f"paper {value:.2f}" for value in paper.BASELINE_MM[printed.statistic])])
    for row in printed.rows_mm:
        name = f"Var. {row}" if isinstance(row, int) else f"ours, {row}"
        rows.append([name, *(_cell(frame, printed, row, task) for task in paper.TASKS)])
    if printed.statistic == "epe_mean_mm":
        rows.append(["Mean pose of the training set", *(_mean_pose(frame, task) for task in paper.TASKS)])
    return ["", *paper.TASKS.values()], rows


def _cell(frame: pd.DataFrame, printed: paper.PrintedTable, row: int | str, task: paper.Task) -> str:
    variant, invariances = printed.model(row, task)
    found = frame[
        (frame["task"] == paper.TASKS[task]) & (frame["variant"] == variant) & (frame["invariances"] == invariances)
    ]
    texts = [cell(one, printed.statistic) for one in found.to_dict("records")]
    if len(texts) > 1:
        texts = [f"{name}:\n{text}" for name, text in zip(found["experiment"], texts, strict=True)]
    return "\n".join(texts) or f"–\npaper {printed.cell_mm(row, task):.2f}"


def _mean_pose(frame: pd.DataFrame, task: paper.Task) -> str:
    of_task = frame[frame["task"] == paper.TASKS[task]]
    texts = (f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in of_task.itertuples())
    return "\n".join(dict.fromkeys(texts)) or "–"
