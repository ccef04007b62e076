"""The semi-supervised experiment (section 4.6, Figure 3): STB with labels for a part of its training images.

Variant 1 can learn from the labelled images only, variant 3 also reconstructs the unlabelled ones. Both are compared at
the same share of labels on the same test frames.
"""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from handvae.evaluation import bootstrap
from handvae.report import comparison, paper
from handvae.report.results import ENDS, STATISTICS, Result
from handvae.report.tables import Text, frame_of, verdict
from handvae.report.text import over_seeds, row_interval, signed

SIDES = {"supervised": 1, "semi_supervised": 3}  # the variants that Figure 3 compares
RESAMPLED = {"epe_mean_mm": bootstrap.mean, "epe_median_mm": bootstrap.median}
COLUMNS = (
    *("label_percent", *SIDES),
    *(f"{of}_{statistic}{end}" for statistic in STATISTICS for of in (*SIDES, "difference") for end in ENDS),
    *(f"{side}_seeds" for side in SIDES),
    *(f"improvement_percent{end}" for end in ENDS),
    *("paper_improvement_percent", "verdict", "mean_pose_epe_mm", "blocks", "kind", "data"),
)


def models_of(results: list[Result]) -> list[Result]:
    """The models of Figure 3, fewest labels first; none where all have all labels: then there is nothing to see."""
    models = [
        result
        for result in results
        if (result.task, result.invariances) == (("stb", "rgb"), "T+S+H")
        and result.variant in SIDES.values()
        and result.papers_encoder
        and not result.of_two_sets
    ]
    few = any(result.label_fraction < 1 for result in models)
    return sorted(models, key=lambda result: result.label_fraction) if few else []


def pairs_of(results: list[Result]) -> list[tuple[Result | None, Result | None]]:
    """The supervised and the semi-supervised models of each share of labels, None where one lacks."""
    models, pairs = models_of(results), []
    for share in dict.fromkeys(model.label_fraction for model in models):
        of_share = [model for model in models if model.label_fraction == share]
        sides = [[model for model in of_share if model.variant == variant] or [None] for variant in SIDES.values()]
        pairs += product(*sides)
    return pairs


def semi_supervised_table(results: list[Result]) -> pd.DataFrame:
    """One row a share of labels and two models, fewest labels first; without rows where all models have all labels.

    `difference_...`: semi-supervised minus supervised, paired; `improvement_percent`: by how much the median of the
    semi-supervised model is lower, in percent of the supervised one's. The paper gives its largest improvement, which
    stands beside ours. A share with one of the two models has blanks for the other.
    """
    pairs = pairs_of(results)
    rows = [_row(*pair) for pair in pairs]
    improved = [(row, models[0]) for row, models in zip(rows, pairs, strict=True) if None not in models]
    smaller = [(row, supervised) for row, supervised in improved if supervised.label_fraction < 1]
    if smaller:
        row, supervised = max(smaller, key=lambda pair: pair[0]["improvement_percent"])
        interval = tuple(row[f"improvement_percent{end}"] for end in ENDS)
        row["paper_improvement_percent"] = paper.SEMI_SUPERVISED_PERCENT
        row["verdict"] = verdict(supervised, interval, paper.SEMI_SUPERVISED_PERCENT)
    return frame_of(rows, COLUMNS)


def _row(*models: Result | None) -> dict[str, object]:
    """One share of labels: what each model's metrics say, and the paired numbers where there are both."""
    first = next(model for model in models if model)
    row: dict[str, object] = dict.fromkeys(COLUMNS, np.nan)
    row |= {"label_percent": 100 * first.label_fraction, "verdict": "not printed"}
    for side, model in zip(SIDES, models, strict=True):
        row[side] = model.experiment if model else ""
        for statistic in STATISTICS if model else ():
            row |= {f"{side}_{key}": value for key, value in model.numbers(statistic).items()}
    if None not in models:
        row |= _paired(list(models))
    row |= {key: first.metrics[key] for key in ("mean_pose_epe_mm", "blocks")}
    return row | {"kind": first.provenance, "data": first.data}


def _paired(models: list[Result]) -> dict[str, float]:
    """Differences of both statistics and the improvement of the median, each with its interval."""
    frames, numbers = comparison.same_frames(models), {}
    for statistic, function in RESAMPLED.items():
        number_of = comparison.numbers_on(frames, function)
        numbers |= comparison.numbers_of(f"difference_{statistic}", number_of(np.subtract, 1, 0))
    # of the median, which is the last
    return numbers | comparison.numbers_of("improvement_percent", number_of(improvement_percent, 0, 1))


def improvement_percent(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By how much an error is lower, in percent of what it was."""
    return 100 * (before - after) / before


def semi_supervised_text(table: pd.DataFrame) -> Text:
    """Two rows a share of labels, for the median, which Figure 3 shows, and for the mean."""
    header = ["labelled", "EPE", "Var. 1, supervised", "Var. 3, semi-supervised", "Var. 3 − Var. 1", "improvement, %"]
    rows = []
    for row in table.to_dict("records"):
        for statistic, name in (("epe_median_mm", "median"), ("epe_mean_mm", "mean")):
            cells = [_model_cell(row, side, statistic) for side in SIDES]
            cells.append(row_interval(row, f"difference_{statistic}", signed))
            cells.append(_improvement_cell(row) if statistic == "epe_median_mm" else "")
            rows.append([f"{row['label_percent']:g} %", name, *cells])
    mean_poses = dict.fromkeys(f"{row.mean_pose_epe_mm:.2f} {row.kind}" for row in table.itertuples())
    return header, rows + [["mean pose", "mean", text, text, "", ""] for text in mean_poses]


def _model_cell(row: dict[str, object], side: str, statistic: str) -> str:
    name = f"{side}_{statistic}"
    if pd.isna(row[name]):
        return "–"
    return "\n".join([row_interval(row, name), *over_seeds(row, name, f"{side}_seeds"), row["kind"]])


def _improvement_cell(row: dict[str, object]) -> str:
    ours = row_interval(row, "improvement_percent", partial(signed, digits=1))
    printed = row["paper_improvement_percent"]
    if pd.isna(printed):
        return ours
    difference = signed(row["improvement_percent"] - printed, digits=1)
    return f"{ours}\npaper up to {printed:.0f} (ours {difference})\n{row['verdict']}"
