"""The semi-supervised experiment (section 4.6, Figure 3): STB with labels for a part of its training images.

Variant 1 can learn from the labelled images only, variant 3 also reconstructs the unlabelled ones. Both are compared at
the same share of labels on the same test frames.
"""

from functools import partial
from itertools import groupby, product

import numpy as np
import pandas as pd

from handvae.evaluation import bootstrap
from handvae.report import comparison, paper
from handvae.report.results import ENDS, STATISTICS, Result
from handvae.report.table_text import interval_text, over_seeds, signed
from handvae.report.tables import frame_of, numbers_of, verdict

SIDES = {"supervised": 1, "semi_supervised": 3}  # the variants that Figure 3 compares
RESAMPLED = {"epe_mean_mm": bootstrap.mean, "epe_median_mm": bootstrap.median}
COLUMNS = (
    *("label_percent", *SIDES),
    *(f"{place}_{statistic}{end}" for statistic in STATISTICS for place in (*SIDES, "difference") for end in ENDS),
    *(f"{side}_seeds" for side in SIDES),
    *(f"improvement_percent{end}" for end in ENDS),
    *("paper_improvement_percent", "verdict", "mean_pose_epe_mm", "blocks", "kind", "data"),
)


def models_of(results: list[Result]) -> list[Result]:
    """The models of Figure 3, fewest labels first; none where all have all labels: then there is nothing to see."""
    models = [result for result in results if _is_of_figure_3(result)]
    return sorted(models, key=_labels) if any(_labels(result) < 1 for result in models) else []


def _is_of_figure_3(result: Result) -> bool:
    task, variants = (("stb", "rgb"), "T+S+H"), SIDES.values()
    like = (result.task, result.invariances) == task and result.variant in variants
    return like and result.papers_encoder and not result.of_two_sets


def _labels(result: Result) -> float:
    return result.label_fraction


def semi_supervised_table(results: list[Result]) -> pd.DataFrame:
    """One row a share of labels and two models, fewest labels first; without rows where all models have all labels.

    `difference_...`: semi-supervised minus supervised, paired; `improvement_percent`: by how much the median of the
    semi-supervised model is lower, in percent of the supervised one's. The paper gives its largest improvement, which
    stands beside ours. A share with one of the two models has blanks for the other.
    """
    rows = []
    for _, of_share in groupby(models_of(results), key=_labels):
        models = list(of_share)
        sides = [[model for model in models if model.variant == variant] or [None] for variant in SIDES.values()]
        rows += [_row(*pair) for pair in product(*sides)]
    _compare_largest(rows, results)
    return frame_of(rows, COLUMNS)


def _row(supervised: Result | None, semi_supervised: Result | None) -> dict[str, object]:
    """One share of labels: what each model's metrics say, and the paired numbers where there are both."""
    pair = dict(zip(SIDES, (supervised, semi_supervised), strict=True))
    first = supervised or semi_supervised
    row: dict[str, object] = dict.fromkeys(COLUMNS, np.nan) | {"label_percent": 100 * first.label_fraction}
    row |= {side: result.experiment if result else "" for side, result in pair.items()}
    for side, result in pair.items():
        for statistic in STATISTICS if result else ():
            row |= {f"{side}_{key}": value for key, value in numbers_of(result, statistic).items()}
    if supervised and semi_supervised:
        row |= _paired(supervised, semi_supervised)
    facts = {key: first.metrics[key] for key in ("mean_pose_epe_mm", "blocks")}
    facts |= {"kind": first.kind, "data": first.data}
    return row | facts | {"verdict": "not printed"}


def _paired(supervised: Result, semi_supervised: Result) -> dict[str, float]:
    """Differences of both statistics and the improvement of the median, each with its interval."""
    frames = comparison.same_frames([supervised, semi_supervised])
    numbers = {}
    for statistic, function in RESAMPLED.items():
        spread = comparison.spread_of(frames, function)
        numbers |= comparison.numbers_of(f"difference_{statistic}", spread.number(comparison.difference, 1, 0))
        if statistic == "epe_median_mm":
            numbers |= comparison.numbers_of("improvement_percent", spread.number(improvement_percent, 0, 1))
    return numbers


def improvement_percent(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By how much an error is lower, in percent of what it was."""
    return 100 * (before - after) / before


def _compare_largest(rows: list[dict[str, object]], results: list[Result]) -> None:
    """Puts the paper's number, "up to 22 %", beside our largest improvement among the smaller shares of labels."""
    smaller = [row for row in rows if row["label_percent"] < 100 and not np.isnan(row["improvement_percent"])]
    if smaller:
        row = max(smaller, key=lambda row: row["improvement_percent"])
        result = next(result for result in results if result.experiment == row["supervised"])
        interval = tuple(row[f"improvement_percent{end}"] for end in ENDS)
        row["paper_improvement_percent"] = paper.SEMI_SUPERVISED_PERCENT
        row["verdict"] = verdict(result, interval, paper.SEMI_SUPERVISED_PERCENT)


def as_text(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows: two a share of labels, for the median, which Figure 3 shows, and for the mean."""
    header = ["labelled", "EPE", "Var. 1, supervised", "Var. 3, semi-supervised", "Var. 3 − Var. 1", "improvement, %"]
    rows = []
    for row in table.to_dict("records"):
        for statistic, name in (("epe_median_mm", "median"), ("epe_mean_mm", "mean")):
            cells = [_model_cell(row, side, statistic) for side in SIDES]
            improvement = _improvement_cell(row) if statistic == "epe_median_mm" else ""
            rows.append([f"{row['label_percent']:g} %", name, *cells, _difference_cell(row, statistic), improvement])
    still = dict.fromkeys(f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in table.itertuples())
    return header, rows + [["mean pose", "mean", text, text, "", ""] for text in still]


def _model_cell(row: dict[str, object], side: str, statistic: str) -> str:
    if pd.isna(row[f"{side}_{statistic}"]):
        return "–"
    of_side = {key.removeprefix(f"{side}_"): value for key, value in row.items() if key.startswith(f"{side}_")}
    text = interval_text(*(row[f"{side}_{statistic}{end}"] for end in ENDS))
    return "\n".join([text, *over_seeds(of_side, statistic), row["kind"]])


def _difference_cell(row: dict[str, object], statistic: str) -> str:
    numbers = [row[f"difference_{statistic}{end}"] for end in ENDS]
    return "–" if pd.isna(numbers[0]) else interval_text(*numbers, signed)


def _improvement_cell(row: dict[str, object]) -> str:
    numbers = [row[f"improvement_percent{end}"] for end in ENDS]
    if pd.isna(numbers[0]):
        return "–"
    ours, printed = interval_text(*numbers, partial(signed, digits=1)), row["paper_improvement_percent"]
    if pd.isna(printed):
        return ours
    difference = signed(numbers[0] - printed, digits=1)
    return f"{ours}\npaper up to {printed:.0f} (ours {difference})\n{row['verdict']}"
