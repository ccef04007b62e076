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
from handvae.table_text import markdown_table

STATISTICS = {"epe_mean_mm": "mean EPE", "epe_median_mm": "median EPE"}
WITHIN = 0.05  # a number so near to the paper's, relative to it, is worth the word, though outside our interval


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
        """What the numbers were made from: never a number without it."""
        name = self.dataset.upper()
        source = self.source if self.source.startswith(name) else f"{name}: {self.source}"
        tested = "each subject tested on in turn" if self.test_subject else f"{self.metrics['frames']:,} test frames"
        return f"{source}; profile {self.profile}; {tested}"

    @property
    def kind(self) -> str:
        return "published" if self.published else "synthetic" if self.synthetic else "other data"


def read_result(predictions: Path, metrics: Path, expected: dict[str, str | int]) -> Result:
    """The result in `predictions` (HDF5) and `metrics` (JSON).

    `expected` holds the attributes that the predictions must carry. Raises InputError naming the file that is missing,
    broken or does not fit.
    """
    attributes, frames = _read_predictions_header(predictions, expected)
    numbers = _read_metrics(metrics, depth=expected["input"] == "depth")
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


def _read_metrics(path: Path, depth: bool) -> dict[str, float]:
    try:
        numbers = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected the metrics that the evaluate stage writes, found: {error}") from error
    keys = ["epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high", "epe_median_mm", "mean_pose_epe_mm", "frames"]
    if not depth:
        keys += ["epe_median_mm_low", "epe_median_mm_high", "auc_20_50", "auc_21_50", "auc_0_50"]
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
                ours, paper_mm = result.metrics[statistic], printed.cell_mm(row, task)
                cells = {
                    "task": paper.TASKS[task],
                    "variant": result.variant,
                    "invariances": result.invariances,
                    "experiment": result.experiment,
                    statistic: ours,
                    f"{statistic}_low": result.metrics[f"{statistic}_low"],
                    f"{statistic}_high": result.metrics[f"{statistic}_high"],
                    f"paper_{statistic}": paper_mm,
                    "difference_mm": ours - paper_mm,
                    "verdict": verdict(result, statistic, paper_mm),
                    "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
                    "data": result.data,
                }
                rows.append(cells)
    return pd.DataFrame(rows).round(2)


def verdict(result: Result, statistic: str, paper_mm: float) -> str:
    """Where the paper's number lies with respect to ours, if it was measured on the same images."""
    if not result.published:
        return f"not comparable ({result.kind})"
    low, high = result.metrics[f"{statistic}_low"], result.metrics[f"{statistic}_high"]
    if low <= paper_mm <= high:
        return "inside interval"
    near = abs(result.metrics[statistic] - paper_mm) <= WITHIN * paper_mm
    return f"within {100 * WITHIN:.0f} %" if near else "outside"


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


def markdown_page(results: list[Result], depth: pd.DataFrame, counts: dict[int, int]) -> str:
    """tables.md: the tables as one reads them in the paper, with what they were made from."""
    data = "\n".join(f"- {text}" for text in dict.fromkeys(result.data for result in results))
    intro = (
        "Errors in mm, of RGB and 2D over visible joints. Each cell: ours [95 % bootstrap interval over frames], what "
        "our number was measured on, and the paper's number, which was measured on the published test images. Only "
        f"numbers on those images can be compared with it.\n\nOur data:\n\n{data or '- none: no such experiment'}"
    )
    parts = [f"# Tables\n\n{intro}"]
    for printed, what in (
        (paper.TABLE1, "all with T+S+H"),
        (paper.TABLE2, "the paper's best variant of each task"),
        (paper.TABLE5, "all with T+S+H"),
        (paper.TABLE6, "the paper's best variant of each task"),
    ):
        heading = f"## {printed.place}: {STATISTICS[printed.statistic]}, {what}"
        parts.append(f"{heading}\n\n{markdown_table(*matrix(results, printed))}")
    parts.append(f"## Depth (section 7.3)\n\n{_depth_page(depth)}")
    rows = [
        [f"Var. {variant}", f"{count:,}", f"{paper.PARAMETERS[variant]:,}" if variant in paper.PARAMETERS else "–"]
        for variant, count in counts.items()
    ]
    heading = f"## Parameters ({paper.PARAMETERS_PLACE})\n\nRGB->3D at the paper's size, 256 px, with H."
    parts.append(f"{heading}\n\n{markdown_table(['', 'ours', 'paper'], rows)}")
    return "\n\n".join(parts) + "\n"


def best(results: list[Result], task: paper.Task) -> Result | None:
    """The experiment of a task, with T+S+H where it is colour, of the lowest mean EPE; None where the task has none."""
    of_task = [r for r in results if r.task == task and (r.input == "depth" or r.invariances == "T+S+H")]
    return min(of_task, key=lambda result: result.metrics["epe_mean_mm"], default=None)


def _filling(results: list[Result], task: paper.Task, printed: paper.PrintedTable, row: int | str) -> list[Result]:
    return [r for r in results if (r.task, (r.variant, r.invariances)) == (task, printed.model(row, task))]


def matrix(results: list[Result], printed: paper.PrintedTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a printed table, as text."""
    tasks, rows = list(paper.TASKS), []
    if not isinstance(next(iter(printed.rows_mm)), int):
        rows.append(["[38], T+S+H", *(f"paper {value:.2f}" for value in paper.BASELINE_MM[printed.statistic])])
    for row in printed.rows_mm:
        name = f"Var. {row}" if isinstance(row, int) else f"ours, {row}"
        cells = [_cells(_filling(results, task, printed, row), printed, row, task) for task in tasks]
        rows.append([name, *cells])
    if printed.statistic == "epe_mean_mm":
        rows.append(["Mean pose of the training set", *(_mean_pose(results, task, printed) for task in tasks)])
    return ["", *paper.TASKS.values()], rows


def _cells(results: list[Result], printed: paper.PrintedTable, row: int | str, task: paper.Task) -> str:
    paper_mm = printed.cell_mm(row, task)
    texts = []
    for result in results:
        ours, low, high = (result.metrics[f"{printed.statistic}{end}"] for end in ("", "_low", "_high"))
        note = verdict(result, printed.statistic, paper_mm) if result.published else result.kind
        texts.append(f"{ours:.2f} [{low:.2f}, {high:.2f}] {note} (paper {paper_mm:.2f})")
    return "; ".join(texts) or f"– (paper {paper_mm:.2f})"


def _mean_pose(results: list[Result], task: paper.Task, printed: paper.PrintedTable) -> str:
    of_task = [r for row in printed.rows_mm for r in _filling(results, task, printed, row)]
    values = dict.fromkeys(
        f"{r.metrics['mean_pose_epe_mm']:.2f}" + ("" if r.published else f" {r.kind}") for r in of_task
    )
    return "; ".join(values) or "–"


def _depth_page(depth: pd.DataFrame) -> str:
    if depth.empty:
        return "No depth experiment."
    rows = [
        [
            f"{row.test}, {row.encoder}",
            f"{row.epe_mean_mm:.2f} [{row.epe_mean_mm_low:.2f}, {row.epe_mean_mm_high:.2f}] {row.kind}",
            f"{row.epe_median_mm:.2f}",
            f"{100 * row.pcf_20:.1f}",
            f"{100 * row.pcf_40:.1f}",
            f"{row.mean_pose_epe_mm:.2f}",
            "–" if pd.isna(row.paper_epe_mean_mm) else f"{row.paper_epe_mean_mm:.1f}",
        ]
        for row in depth.itertuples()
    ]
    header = ["", "mean EPE", "median", "PCF 20 mm, %", "PCF 40 mm, %", "mean pose", "the paper's mean, set not named"]
    return "Absolute errors, no alignment; NYU over its 14 evaluated joints.\n\n" + markdown_table(header, rows)
