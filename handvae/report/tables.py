"""The paper's tables of joint errors, and its depth results, filled with the results of experiments."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from handvae.evaluation import statistics
from handvae.report import paper
from handvae.report.predictions import Frames, read_frames
from handvae.report.results import ALL_JOINTS, ALL_JOINTS_TASK, ENDS, STATISTICS, Model, Result, depth_models
from handvae.report.text import cell, over_seeds

WITHIN = 0.05  # a number so near to the paper's, relative to it, is worth the word, though outside our interval
DEPTH_TESTS = {  # what is tested, by set; DeepPrior++ reports ICVL's first sequence alone, which is the harder one
    "icvl": {"ICVL": "", "ICVL, sequence 1": "test_seq_1/"},
    "nyu": {"NYU": ""},
    "msra": {"MSRA15": ""},
}
DEPTH_COLUMNS = (
    *("test", "encoder", "variant", "invariances", "epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"),
    *("epe_median_mm", *(f"pcf_{threshold}" for threshold in statistics.PCF_MM), "mean_pose_epe_mm", "frames"),
    *("blocks", "seeds", "paper_epe_mean_mm", "difference_mm", "verdict", "kind", "data"),
)
Text = tuple[list[str], list[list[str]]]  # a table's header and rows


def frame_of(rows: list[dict[str, object]], names: Sequence[str]) -> pd.DataFrame:
    """The rows as a table; one without rows has its columns, `names`, so that every CSV file has a header."""
    frame = pd.DataFrame(rows, columns=None if rows else list(names))
    for name in frame.columns:
        if name.endswith("seeds"):
            frame[name] = frame[name].astype("Int64")  # a number of models, also where some rows have none
    return frame


def verdict(result: Result, interval: tuple[float, float, float], printed: float | None) -> str:
    """Where the paper's number lies with respect to ours, (number, low, high), if both are of the same images."""
    if printed is None:
        return "not printed"
    if not result.published:
        return f"not comparable ({result.provenance})"
    ours, low, high = interval
    if low <= printed <= high:
        return "inside interval"
    return f"within {100 * WITHIN:.0f} %" if abs(ours - printed) <= WITHIN * printed else "outside"


def joint_table(results: list[Result], printed: paper.PrintedTable) -> pd.DataFrame:
    """Long form of Table 1, 2, 5 or 6: one row for each experiment that fills a cell, in the paper's order of cells."""
    statistic = printed.statistic
    rows = [
        _joint_row(result, statistic, printed.cell_mm(row, task))
        for task in paper.TASKS
        for row in printed.rows_mm
        for result in _filling(results, task, printed, row)
    ]
    names = ["task", "variant", "invariances", "trained_on", "experiment", *(f"{statistic}{end}" for end in ENDS)]
    names += ["seeds", f"paper_{statistic}", "difference_mm", "verdict", *_all_joints_names(statistic)]
    return frame_of(rows, [*names, "mean_pose_epe_mm", "blocks", "kind", "data"])


def _joint_row(result: Result, statistic: str, paper_mm: float) -> dict[str, object]:
    return {
        "task": paper.TASKS[result.task],
        "variant": result.variant,
        "invariances": result.invariances,
        "trained_on": result.trained_on or result.dataset,
        "experiment": result.experiment,
        **result.numbers(statistic),
        f"paper_{statistic}": paper_mm,
        "difference_mm": result.metrics[statistic] - paper_mm,
        "verdict": verdict(result, result.interval(statistic), paper_mm),
        **_of_all_joints(result, statistic, paper_mm),
        "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
        "blocks": result.metrics["blocks"],
        "kind": result.provenance,
        "data": result.data,
    }


def _all_joints_names(statistic: str) -> list[str]:
    name = ALL_JOINTS[statistic]
    return [*(f"{name}{end}" for end in ENDS), f"paper_{name}", "all_joints_verdict"]


def _of_all_joints(result: Result, statistic: str, paper_mm: float) -> dict[str, object]:
    """The statistic over hidden joints too, blank but for 2D->3D; the paper does not say of which joints its number is,
    so that the same stands beside both."""
    name, names = ALL_JOINTS[statistic], _all_joints_names(statistic)
    if result.task != ALL_JOINTS_TASK:
        return dict.fromkeys(names, math.nan) | {"all_joints_verdict": ""}
    interval = result.interval(name)
    columns = dict(zip(names, (*interval, paper_mm, verdict(result, interval, paper_mm)), strict=True))
    return columns | ({f"{name}_sd": result.metrics[f"{name}_sd"]} if result.seeds > 1 else {})


def _filling(results: list[Result], task: paper.Task, printed: paper.PrintedTable, row: int | str) -> list[Result]:
    """The results of a cell; of fewer invariances also those of models of two sets, whatever their variant.

    The paper does not say whether its rows with fewer invariances were trained on RHD and STB together, nor then which
    variant: docs/choices.md.
    """
    variant, invariances = printed.model(row, task)
    alike = [r for r in results if (r.task, r.invariances) == (task, invariances) and r.papers_encoder]
    own = [result for result in alike if result.compared and result.variant == variant]
    together = [r for r in alike if r.of_two_sets and r.label_fraction == 1 and isinstance(r.variant, int)]
    return own if isinstance(row, int) else own + together


def joint_text(frame: pd.DataFrame, printed: paper.PrintedTable) -> Text:
    """A printed table from its long form; 2D->3D also over all joints."""
    rows, columns = [], [(task, False) for task in paper.TASKS]
    columns.insert(columns.index((ALL_JOINTS_TASK, False)) + 1, (ALL_JOINTS_TASK, True))
    if "T" in printed.rows_mm:  # a table of invariances
        baseline_mm = dict(zip(paper.TASKS, paper.BASELINE_MM[printed.statistic], strict=True))
        rows.append(["[38], T+S+H", *(f"paper {baseline_mm[task]:.2f}" for task, _ in columns)])
    for row in printed.rows_mm:
        name = f"Var. {row}" if isinstance(row, int) else f"ours, {row}"
        cells = [_cell(frame, printed, row, *column) for column in columns]
        missing = (f"–\npaper {printed.cell_mm(row, task):.2f}" for task, _ in columns)
        rows.append([name, *(ours or other for ours, other in zip(cells, missing, strict=True))])
        cells = [_cell(frame, printed, row, *column, together=True) for column in columns]
        if any(cells):
            rows.append([f"{name}, RHD and STB together", *(text or "–" for text in cells)])
    if printed.statistic == "epe_mean_mm":
        mean_poses = ("" if all_joints else _mean_pose(frame, task) for task, all_joints in columns)
        rows.append(["Mean pose of the training set", *mean_poses])
    return ["", *(paper.TASKS[task] + ", all joints" * all_joints for task, all_joints in columns)], rows


def _cell(
    frame: pd.DataFrame, printed: paper.PrintedTable, row: int | str, task: paper.Task, all_joints: bool, together=False
) -> str:
    """The cell's text, "" where there is no such model; `together`: of models of both sets."""
    variant, invariances = printed.model(row, task)
    models = frame[(frame["task"] == paper.TASKS[task]) & (frame["invariances"] == invariances)]
    alone = models["trained_on"] == task[0]
    models = models[~alone] if together else models[alone & (models["variant"] == variant)]
    columns = (ALL_JOINTS[printed.statistic], 2, "all_joints_verdict") if all_joints else (printed.statistic,)
    texts = [cell(model, *columns) for model in models.to_dict("records")]
    if len(texts) > 1:
        texts = [f"{name}:\n{text}" for name, text in zip(models["experiment"], texts, strict=True)]
    return "\n".join(texts)


def _mean_pose(frame: pd.DataFrame, task: paper.Task) -> str:
    of_task = frame[(frame["task"] == paper.TASKS[task]) & (frame["trained_on"] == task[0])]
    texts = (f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in of_task.itertuples())
    return "\n".join(dict.fromkeys(texts)) or "–"


def depth_table(results: list[Result]) -> pd.DataFrame:
    """Section 7.3 by the public evaluation, a row a test and model; the folds of a set are pooled frame by frame."""
    rows = []
    for dataset, tests in DEPTH_TESTS.items():
        for model in depth_models(results, dataset):
            frames = read_frames(model)
            for test, prefix in tests.items():
                kept = np.char.startswith(frames.name.astype(str), prefix)
                if kept.any():
                    rows.append(_depth_row(test, model, frames, kept))
    return frame_of(rows, DEPTH_COLUMNS)


def _depth_row(test: str, model: Model, frames: Frames, kept: np.ndarray) -> dict[str, object]:
    """`kept`: which frames the test is of, (N,) bool."""
    evaluated = list(frames.skeleton.evaluated)
    predicted_mm, true_mm, mean_pose_mm = (
        [joints_mm[kept][:, evaluated] for joints_mm in joints]
        for joints in (frames.joints_pred_mm, [frames.joints_true_mm], [frames.mean_pose_mm])
    )
    block = np.unique(frames.block[kept], return_inverse=True)[1]
    numbers = statistics.summarise_depth(predicted_mm, *true_mm, *mean_pose_mm, block, seed=0)
    numbers = {key: np.nan if value is None else value for key, value in numbers.items()}
    first, interval = model[0], tuple(numbers[f"epe_mean_mm{end}"] for end in ENDS)
    printed = first.printed_mm.get("epe_mean_mm")
    return {
        "test": test + (f", {len(model)} folds" if first.test_subject else ""),
        "encoder": first.encoder.replace("resnet", "ResNet-"),
        "variant": first.variant,
        "invariances": first.invariances,
        **{key: value for key, value in numbers.items() if key != "epe_share_of_mean_pose"},
        "seeds": len(predicted_mm),
        "paper_epe_mean_mm": np.nan if printed is None else printed,
        "difference_mm": np.nan if printed is None else interval[0] - printed,
        "verdict": verdict(first, interval, printed),
        "kind": first.provenance,
        "data": first.data,
    }


def depth_text(frame: pd.DataFrame) -> Text:
    """A row a test and encoder."""
    mean, median = STATISTICS
    rows = [
        [
            f"{row['test']}, {row['encoder']}",
            cell(row, mean, digits=1),
            "\n".join([f"{row[median]:.2f}", *over_seeds(row, median)]),
            *(f"{100 * row[f'pcf_{threshold}']:.1f}" for threshold in (20, 40)),
            f"{row['mean_pose_epe_mm']:.2f}",
        ]
        for row in frame.to_dict("records")
    ]
    return ["", "mean EPE", "median EPE", "PCF 20 mm, %", "PCF 40 mm, %", "mean pose"], rows
