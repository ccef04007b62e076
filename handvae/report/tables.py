"""The paper's tables of joint errors, filled with the results of experiments."""

import math

import pandas as pd

from handvae.report import paper
from handvae.report.results import ALL_JOINTS, ALL_JOINTS_TASK, ENDS, Result
from handvae.report.table_text import cell

WITHIN = 0.05  # a number so near to the paper's, relative to it, is worth the word, though outside our interval


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
                    "trained_on": result.trained_on or result.dataset,
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
    names = (
        "task",
        "variant",
        "invariances",
        "trained_on",
        "experiment",
        statistic,
        f"{statistic}_low",
        f"{statistic}_high",
        "seeds",
    )
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
    """A statistic with its interval, the number of seeds and, where these are several, its standard deviation."""
    keys = [*(f"{statistic}{end}" for end in ENDS), *([f"{statistic}_sd"] if result.seeds > 1 else [])]
    return {key: result.metrics[key] for key in keys} | {"seeds": result.seeds}


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
    """The results of a cell; of fewer invariances also those of models of two sets, whatever their variant.

    The paper does not say whether its rows with fewer invariances were trained on RHD and STB together, nor then which
    variant: docs/choices.md.
    """
    variant, invariances = printed.model(row, task)
    alike = [r for r in results if (r.task, r.invariances) == (task, invariances) and r.papers_encoder]
    own = [result for result in alike if result.compared and result.variant == variant]
    together = [r for r in alike if r.of_two_sets and r.label_fraction == 1 and isinstance(r.variant, int)]
    return own if isinstance(row, int) else own + together


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
        cells = [_cell(frame, printed, row, *column, together=True) for column in columns]
        if any(cells):
            rows.append([f"{name}, RHD and STB together", *(text or "–" for text in cells)])
    if printed.statistic == "epe_mean_mm":
        still = ("" if all_joints else _mean_pose(frame, task) for task, all_joints in columns)
        rows.append(["Mean pose of the training set", *still])
    return ["", *(paper.TASKS[task] + ", all joints" * all_joints for task, all_joints in columns)], rows


def _cell(
    frame: pd.DataFrame,
    printed: paper.PrintedTable,
    row: int | str,
    task: paper.Task,
    all_joints: bool,
    together: bool = False,
) -> str:
    """The cell's text; `together`: of models of both sets, "" where there is none."""
    variant, invariances = printed.model(row, task)
    found = frame[(frame["task"] == paper.TASKS[task]) & (frame["invariances"] == invariances)]
    alone = found["trained_on"] == task[0]
    found = found[~alone] if together else found[alone & (found["variant"] == variant)]
    shown = (ALL_JOINTS[printed.statistic], 2, "all_joints_verdict") if all_joints else (printed.statistic,)
    texts = [cell(one, *shown) for one in found.to_dict("records")]
    if len(texts) > 1:
        texts = [f"{name}:\n{text}" for name, text in zip(found["experiment"], texts, strict=True)]
    return "\n".join(texts) or ("" if together else f"–\npaper {printed.cell_mm(row, task):.2f}")


def _mean_pose(frame: pd.DataFrame, task: paper.Task) -> str:
    of_task = frame[(frame["task"] == paper.TASKS[task]) & (frame["trained_on"] == task[0])]
    texts = (f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in of_task.itertuples())
    return "\n".join(dict.fromkeys(texts)) or "–"
