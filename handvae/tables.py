"""The paper's tables with our numbers: results of experiments in, CSV frames and one Markdown page out.

`read_result` checks that an experiment's two files, its predictions and its metrics, belong to the experiment as it
stands in params.yaml, so that no table is made from what an earlier setting left behind.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import pandas as pd

from handvae import paper
from handvae.errors import InputError

STATISTICS = {"epe_mean_mm": "mean EPE", "epe_median_mm": "median EPE"}
TABLE_VARIANTS = (1, 2, 3, 4)
TABLE_TASKS = (("rhd", "joints_2d"), ("rhd", "rgb"))


@dataclass(frozen=True)
class Result:
    """One experiment of the grid: its settings, what its data is, its metrics, and where its predictions lie."""

    experiment: str
    dataset: str
    input: str
    variant: int
    invariances: str
    encoder: str
    test_subject: str  # the one left out of the training, "" where the set has a test split
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
        return f"{self.source}; profile {self.profile}; {self.metrics['frames']:,} test frames"

    @property
    def kind(self) -> str:
        return "published" if self.published else "synthetic" if self.synthetic else "other data"


def read_result(predictions: Path, metrics: Path, expected: dict[str, str | int]) -> Result:
    """The result in `predictions` (HDF5) and `metrics` (JSON).

    `expected` holds the attributes that the predictions must carry. Raises InputError naming the file that is missing,
    broken or does not fit.
    """
    attributes, frames = _read_predictions_header(predictions, expected)
    numbers = _read_metrics(metrics)
    if numbers["frames"] != frames:
        raise InputError(f"{metrics}: expected the {frames} frames of {predictions}, found {numbers['frames']}")
    fields = {key: attributes[key] for key in (*expected, "source", "synthetic", "published")}
    return Result(**fields, metrics=numbers, predictions=predictions)


def _read_predictions_header(path: Path, expected: dict[str, str | int]) -> tuple[dict[str, str | int | bool], int]:
    """The file's attributes as plain Python values, and its number of frames."""
    try:
        with h5py.File(path) as file:
            attributes = {key: value.item() if hasattr(value, "item") else value for key, value in file.attrs.items()}
            frames = len(file["row"])
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: expected the predictions that the evaluate stage writes, found: {error}") from error
    for key, value in expected.items():
        if attributes.get(key) != value:
            raise InputError(f"{path}: expected {key} {value!r} as in params.yaml, found {attributes.get(key)!r}")
    for key in ("source", "synthetic", "published"):
        if key not in attributes:
            raise InputError(f"{path}: expected the attribute {key}, found {', '.join(attributes)}")
    return attributes, frames


def _read_metrics(path: Path) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    intervals = [f"{name}{end}" for name in STATISTICS for end in ("", "_low", "_high")]
    for key in (*intervals, "auc_20_50", "auc_21_50", "auc_0_50", "mean_pose_epe_mm", "frames"):
        if key not in numbers:
            raise InputError(f"{path}: expected the key {key}, found {', '.join(numbers)}")
    return numbers


def variant_table(results: list[Result], printed: paper.PrintedTable) -> pd.DataFrame:
    """Long form of Table 1 or 5, RHD columns: one row for each experiment that fills a cell (T+S+H), in cell order."""
    statistic = printed.statistic
    rows = []
    for task in TABLE_TASKS:
        for variant in TABLE_VARIANTS:
            for result in _filling(results, task, variant):
                paper_mm = printed.cell_mm(variant, task)
                row = {
                    "task": paper.TASKS[task],
                    "variant": variant,
                    "experiment": result.experiment,
                    statistic: result.metrics[statistic],
                    f"{statistic}_low": result.metrics[f"{statistic}_low"],
                    f"{statistic}_high": result.metrics[f"{statistic}_high"],
                    f"paper_{statistic}": paper_mm,
                    "verdict": verdict(result, statistic, paper_mm),
                    "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
                    "data": result.data,
                }
                rows.append(row)
    return pd.DataFrame(rows).round(2)


def verdict(result: Result, statistic: str, paper_mm: float) -> str:
    """Whether the paper's number lies in our 95 % interval, where it was measured on the same images."""
    if not result.published:
        return f"not comparable ({result.kind})"
    low, high = result.metrics[f"{statistic}_low"], result.metrics[f"{statistic}_high"]
    return "inside interval" if low <= paper_mm <= high else "outside"


def parameter_table(counts: dict[int, int]) -> pd.DataFrame:
    """Parameters of each variant at the paper's sizes (256 px, RGB, H) beside the two counts that the paper prints."""
    printed = pd.array([paper.PARAMETERS.get(variant) for variant in counts], dtype="Int64")
    words = {None: "not printed", True: "equal", False: "differs"}
    same = [
        paper.PARAMETERS[variant] == count if variant in paper.PARAMETERS else None for variant, count in counts.items()
    ]
    return pd.DataFrame(
        {
            "variant": list(counts),
            "parameters": list(counts.values()),
            "paper_parameters": printed,
            "verdict": [words[one] for one in same],
        }
    )


def markdown_page(results: list[Result], counts: dict[int, int]) -> str:
    """tables.md: the three tables as one reads them in the paper, with what they were made from."""
    shown = [
        result for task in TABLE_TASKS for variant in TABLE_VARIANTS for result in _filling(results, task, variant)
    ]
    data = "\n".join(f"- {text}" for text in dict.fromkeys(result.data for result in shown))
    intro = (
        "Errors in mm over visible joints, invariances T+S+H. Each cell: ours [95 % bootstrap interval over frames], "
        "what our number was measured on, and the paper's number, which was measured on RHD's 2,728 test images. "
        f"Only numbers on those images can be compared with it.\n\nOur data:\n\n{data or '- none: no such experiment'}"
    )
    parts = [f"# Tables\n\n{intro}"]
    for printed in (paper.TABLE1, paper.TABLE5):
        parts.append(f"## {printed.place}: {STATISTICS[printed.statistic]}\n\n{_matrix(results, printed)}")
    rows = [
        [f"Var. {variant}", f"{count:,}", f"{paper.PARAMETERS[variant]:,}" if variant in paper.PARAMETERS else "–"]
        for variant, count in counts.items()
    ]
    heading = f"## Parameters ({paper.PARAMETERS_PLACE})\n\nRGB->3D at the paper's size, 256 px, with H."
    parts.append(f"{heading}\n\n{_markdown_table(['', 'ours', 'paper'], rows)}")
    return "\n\n".join(parts) + "\n"


def best(results: list[Result], task: paper.Task) -> Result | None:
    """The experiment of a task with the lowest mean EPE, as in the paper's figures; None where the task has none."""
    of_task = [result for result in results if result.task == task]
    return min(of_task, key=lambda result: result.metrics["epe_mean_mm"], default=None)


def _filling(results: list[Result], task: paper.Task, variant: int) -> list[Result]:
    return [r for r in results if (r.task, r.variant, r.invariances) == (task, variant, "T+S+H")]


def _matrix(results: list[Result], printed: paper.PrintedTable) -> str:
    rows = [
        [f"Var. {variant}", *(_cells(_filling(results, task, variant), printed, variant, task) for task in TABLE_TASKS)]
        for variant in TABLE_VARIANTS
    ]
    if printed.statistic == "epe_mean_mm":
        rows.append(["Mean pose of the training set", *(_mean_pose(results, task) for task in TABLE_TASKS)])
    return _markdown_table(["", *(paper.TASKS[task] for task in TABLE_TASKS)], rows)


def _cells(results: list[Result], printed: paper.PrintedTable, variant: int, task: paper.Task) -> str:
    paper_mm = printed.cell_mm(variant, task)
    texts = []
    for result in results:
        ours, low, high = (result.metrics[f"{printed.statistic}{end}"] for end in ("", "_low", "_high"))
        note = verdict(result, printed.statistic, paper_mm) if result.published else result.kind
        texts.append(f"{ours:.2f} [{low:.2f}, {high:.2f}] {note} (paper {paper_mm:.2f})")
    return "; ".join(texts) or f"– (paper {paper_mm:.2f})"


def _mean_pose(results: list[Result], task: paper.Task) -> str:
    of_task = [r for variant in TABLE_VARIANTS for r in _filling(results, task, variant)]
    values = dict.fromkeys(
        f"{r.metrics['mean_pose_epe_mm']:.2f}" + ("" if r.published else f" {r.kind}") for r in of_task
    )
    return "; ".join(values) or "–"


def _markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
