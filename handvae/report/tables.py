"""The paper's tables of joint errors, and its depth results, filled with the results of experiments."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from handvae.evaluation import statistics
from handvae.report import paper
from handvae.report.predictions import Frames, read_frames
from handvae.report.results import (
    ALL_JOINTS,
    ALL_JOINTS_TASK,
    ENDS,
    STATISTICS,
    Model,
    Result,
    alike,
    depth_models,
    rival,
)
from handvae.report.text import cell, over_seeds

WITHIN = 0.05  # a number so near to the paper's, relative to it, is worth the word, though outside our interval
DEPTH_TESTS = {  # set -> name of a test -> how its frames' names begin
    "icvl": {"ICVL": "", "ICVL, sequence 1": "test_seq_1/"},  # DeepPrior++ reports the first, harder sequence alone
    "nyu": {"NYU": ""},
    "msra": {"MSRA15": ""},
}
DEPTH_COLUMNS = (
    *("test", "encoder", "variant", "invariances", "epe_mean_mm", "epe_mean_mm_low", "epe_mean_mm_high"),
    *("epe_median_mm", *(f"pcf_{threshold}" for threshold in statistics.PCF_MM), "mean_pose_epe_mm", "frames"),
    *("blocks", "seeds", "paper_epe_mean_mm", "difference_mm", "verdict", "kind", "data"),
)
TEXT_COLUMNS = [(task, False) for task in paper.TASKS]  # of joint errors: a task, and whether hidden joints count too
TEXT_COLUMNS.insert(TEXT_COLUMNS.index((ALL_JOINTS_TASK, False)) + 1, (ALL_JOINTS_TASK, True))
Text = tuple[list[str], list[list[str]]]  # a table's header and rows


def frame_of(rows: list[dict[str, object]], names: Sequence[str]) -> pd.DataFrame:
    """The rows as a table; one without rows has its columns, `names`, so that every CSV file has a header."""
    frame = pd.DataFrame(rows, columns=None if rows else list(names))
    for name in frame.columns:
        if name.endswith("seeds"):
            frame[name] = frame[name].astype("Int64")  # a number of models, also where some rows have none
    return frame


def verdict(result: Result, interval: tuple[float, float, float], printed: float) -> str:
    """Where the paper's number lies with respect to ours, (number, low, high), if both are of the same images; NaN: the
    paper has none."""
    if math.isnan(printed):
        return "not printed"
    if not result.published:
        return f"not comparable ({result.provenance})"
    ours, low, high = interval
    if low <= printed <= high:
        return "inside interval"
    return f"within {100 * WITHIN:.0f} %" if abs(ours - printed) <= WITHIN * printed else "outside"


def joint_table(results: list[Result], printed: paper.PrintedTable) -> pd.DataFrame:
    """Long form of Table 1, 2, 5 or 6: one row for each experiment that fills a cell, in the paper's order of cells.

    Where the paper has [38], it is the first of a task.
    """
    rows = []
    for task in paper.TASKS:
        models = [rival(results, task)] if "T" in printed.rows_mm else []
        rows += [_joint_row(model, printed.statistic, model.printed_mm[printed.statistic]) for model in models if model]
        for row in printed.rows_mm:
            filling = _filling(results, task, printed, row)
            rows += [_joint_row(result, printed.statistic, printed.cell_mm(row, task)) for result in filling]
    statistic, all_joints = printed.statistic, ALL_JOINTS[printed.statistic]
    names = ["task", "variant", "invariances", "trained_on", "experiment", *(f"{statistic}{end}" for end in ENDS)]
    names += ["seeds", f"paper_{statistic}", "difference_mm", "verdict", *(f"{all_joints}{end}" for end in ENDS)]
    names += [f"paper_{all_joints}", "all_joints_verdict", "mean_pose_epe_mm", "blocks", "kind", "data"]
    return frame_of(rows, names)


def _joint_row(result: Result, statistic: str, paper_mm: float) -> dict[str, object]:
    """One result beside the paper's number. The statistic over all joints is blank but for 2D->3D: the paper does not
    say over which joints its number is, so that the same stands beside both."""
    all_joints, lifting = ALL_JOINTS[statistic], result.task == ALL_JOINTS_TASK
    interval = result.interval(all_joints) if lifting else 3 * (math.nan,)
    spread = {f"{all_joints}_sd": result.metrics[f"{all_joints}_sd"]} if lifting and result.seeds > 1 else {}
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
        **{f"{all_joints}{end}": number for end, number in zip(ENDS, interval, strict=True)},
        f"paper_{all_joints}": paper_mm if lifting else math.nan,
        "all_joints_verdict": verdict(result, interval, paper_mm) if lifting else "",
        **spread,
        "mean_pose_epe_mm": result.metrics["mean_pose_epe_mm"],
        "blocks": result.metrics["blocks"],
        "kind": result.provenance,
        "data": result.data,
    }


def _filling(results: list[Result], task: paper.Task, printed: paper.PrintedTable, row: int | str) -> list[Result]:
    """The results of a cell; of fewer invariances also those of models of two sets, whatever their variant.

    The paper does not say whether its rows with fewer invariances were trained on RHD and STB together, nor then which
    variant: docs/choices.md.
    """
    variant, invariances = printed.model(row, task)
    models = alike(results, task, invariances)
    own = [model for model in models if model.compared and model.variant == variant]
    together = [m for m in models if m.of_two_sets and m.label_fraction == 1 and isinstance(m.variant, int)]
    return own if isinstance(row, int) else own + together


def joint_text(frame: pd.DataFrame, printed: paper.PrintedTable) -> Text:
    """A printed table from its long form; 2D->3D also over all joints."""
    models: dict[tuple, list[dict]] = defaultdict(list)  # by task, variant (None: of both sets) and invariances
    for model in frame.to_dict("records"):
        variant = None if "+" in model["trained_on"] else model["variant"]
        models[model["task"], variant, model["invariances"]].append(model)
    rows = []
    if "T" in printed.rows_mm:  # a table of invariances
        texts = []
        for task, all_joints in TEXT_COLUMNS:
            trained = models[paper.TASKS[task], paper.RIVAL[task[1]], "T+S+H"]
            text = _cell(trained, printed.statistic, all_joints)
            texts.append(text or f"–\npaper {paper.baseline_mm(task)[printed.statistic]:.2f}")
        rows.append(["[38], T+S+H", *texts])
    for row in printed.rows_mm:
        name = f"Var. {row}" if isinstance(row, int) else f"ours, {row}"
        own, together = [], []
        for task, all_joints in TEXT_COLUMNS:
            variant, invariances = printed.model(row, task)
            text = _cell(models[paper.TASKS[task], variant, invariances], printed.statistic, all_joints)
            own.append(text or f"–\npaper {printed.cell_mm(row, task):.2f}")
            together.append(_cell(models[paper.TASKS[task], None, invariances], printed.statistic, all_joints))
        rows.append([name, *own])
        if any(together):
            rows.append([f"{name}, RHD and STB together", *(text or "–" for text in together)])
    if printed.statistic == "epe_mean_mm":
        mean_poses = ("" if all_joints else _mean_pose(frame, task) for task, all_joints in TEXT_COLUMNS)
        rows.append(["Mean pose of the training set", *mean_poses])
    kinds = {task: "".join(f", {kind}" for kind in of_task["kind"].unique()) for task, of_task in frame.groupby("task")}
    names = ((paper.TASKS[task], all_joints) for task, all_joints in TEXT_COLUMNS)
    return ["", *(f"{name}{', all joints' * all_joints}{kinds.get(name, '')}" for name, all_joints in names)], rows


def _cell(models: list[dict], statistic: str, all_joints: bool) -> str:
    columns = (ALL_JOINTS[statistic], 2, "all_joints_verdict") if all_joints else (statistic,)
    texts = [cell(model, *columns) for model in models]
    if len(texts) > 1:
        texts = [f"{model['experiment']}:\n{text}" for model, text in zip(models, texts, strict=True)]
    return "\n".join(texts)


def _mean_pose(frame: pd.DataFrame, task: paper.Task) -> str:
    rows = frame[(frame["task"] == paper.TASKS[task]) & (frame["trained_on"] == task[0])]
    return "\n".join(dict.fromkeys(map("{:.2f}".format, rows["mean_pose_epe_mm"]))) or "–"


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
    """`kept`: which frames are in the test, (N,) bool."""

    def evaluated(joints_mm: np.ndarray) -> np.ndarray:
        return joints_mm[kept][:, list(frames.skeleton.evaluated)]

    predicted_mm = [evaluated(joints_mm) for joints_mm in frames.joints_pred_mm]
    true_mm, mean_pose_mm = evaluated(frames.joints_true_mm), evaluated(frames.mean_pose_mm)
    block = np.unique(frames.block[kept], return_inverse=True)[1]
    numbers = statistics.summarise_depth(predicted_mm, true_mm, mean_pose_mm, block, seed=0)
    del numbers["epe_share_of_mean_pose"]
    numbers = {key: math.nan if value is None else value for key, value in numbers.items()}
    first, interval = model[0], tuple(numbers[f"epe_mean_mm{end}"] for end in ENDS)
    printed = first.printed_mm.get("epe_mean_mm", math.nan)
    return {
        "test": test + (f", {len(model)} folds" if first.test_subject else ""),
        "encoder": first.encoder.replace("resnet", "ResNet-"),
        "variant": first.variant,
        "invariances": first.invariances,
        **numbers,
        "seeds": len(predicted_mm),
        "paper_epe_mean_mm": printed,
        "difference_mm": interval[0] - printed,
        "verdict": verdict(first, interval, printed),
        "kind": first.provenance,
        "data": first.data,
    }


def depth_text(frame: pd.DataFrame) -> Text:
    """A row a test and encoder."""
    mean, median = STATISTICS
    rows = []
    for row in frame.to_dict("records"):
        errors = [cell(row, mean, digits=1), "\n".join([f"{row[median]:.2f}", *over_seeds(row, median)])]
        shares = [f"{100 * row[f'pcf_{threshold}']:.1f}" for threshold in (20, 40)]
        rows.append(
            [f"{row['test']}, {row['encoder']}, {row['kind']}", *errors, *shares, f"{row['mean_pose_epe_mm']:.2f}"]
        )
    return ["", "mean EPE", "median EPE", "PCF 20 mm, %", "PCF 40 mm, %", "mean pose"], rows
