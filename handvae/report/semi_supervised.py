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
from handvae.report.results import ENDS, STATISTICS, Result, alike
from handvae.report.tables import Text, frame_of, verdict
from handvae.report.text import over_seeds, row_interval, signed

SIDES = {"supervised": 1, "semi_supervised": 3}  # the variants that Figure 3 compares
COLUMNS = (
    *("label_percent", *SIDES),
    *(f"{side}_{statistic}{end}" for statistic in STATISTICS for side in (*SIDES, "difference") for end in ENDS),
    *(f"{side}_seeds" for side in SIDES),
    *(f"improvement_percent{end}" for end in ENDS),
    *("paper_improvement_percent", "verdict", "mean_pose_epe_mm", "blocks", "kind", "data"),
)


def models_of(results: list[Result]) -> list[Result]:
    """The models of Figure 3, fewest labels first; none where all have all labels: then there is nothing to see."""
    models = alike(results, ("stb", "rgb"), "T+S+H")
    models = [model for model in models if model.variant in SIDES.values() and not model.of_two_sets]
    few = any(model.label_fraction < 1 for model in models)
    return sorted(models, key=lambda model: model.label_fraction) if few else []


def pairs_of(results: list[Result]) -> list[tuple[Result | None, Result | None]]:
    """Each supervised with each semi-supervised model of a share of labels, None where one is lacking."""
    models, pairs = models_of(results), []
    for share in dict.fromkeys(model.label_fraction for model in models):
        of_share = [model for model in models if model.label_fraction == share]
        pairs += product(*([m for m in of_share if m.variant == variant] or [None] for variant in SIDES.values()))
    return pairs


def semi_supervised_table(results: list[Result]) -> pd.DataFrame:
    """One row a share of labels and two models, fewest labels first; without rows where all models have all labels.

    `difference_...`: semi-supervised minus supervised, paired; `improvement_percent`: by how much the median of the
    semi-supervised model is lower, in percent of the supervised one's. The paper gives its largest improvement, which
    stands beside ours. A share with one of the two models has blanks for the other.
    """
    pairs = pairs_of(results)
    rows = [_row(*pair) for pair in pairs]
    both = [(row, pair[0]) for row, pair in zip(rows, pairs, strict=True) if None not in pair]
    smaller = [(row, supervised) for row, supervised in both if supervised.label_fraction < 1]
    if smaller:
        row, supervised = max(smaller, key=lambda pair: pair[0]["improvement_percent"])
        interval = tuple(row[f"improvement_percent{end}"] for end in ENDS)
        row["paper_improvement_percent"] = paper.SEMI_SUPERVISED_PERCENT
        row["verdict"] = verdict(supervised, interval, paper.SEMI_SUPERVISED_PERCENT)
    return frame_of(rows, COLUMNS)


def _row(*models: Result | None) -> dict[str, object]:
    """A share of labels: each model's metrics, and the paired numbers where there are both models."""
    first = next(model for model in models if model)
    row: dict[str, object] = dict.fromkeys(COLUMNS, np.nan)
    row |= {"label_percent": 100 * first.label_fraction, "verdict": "not printed"}
    for side, model in zip(SIDES, models, strict=True):
        row[side] = model.experiment if model else ""
        for statistic in STATISTICS if model else ():
            row |= {f"{side}_{key}": value for key, value in model.numbers(statistic).items()}
    if None not in models:
        frames = comparison.same_frames(models)
        mean_of, median_of = (comparison.numbers_on(frames, of) for of in (bootstrap.mean, bootstrap.median))
        row |= comparison.numbers_of("difference_epe_mean_mm", mean_of(np.subtract, 1, 0))
        row |= comparison.numbers_of("difference_epe_median_mm", median_of(np.subtract, 1, 0))
        row |= comparison.numbers_of("improvement_percent", median_of(improvement_percent, 0, 1))
    row |= {key: first.metrics[key] for key in ("mean_pose_epe_mm", "blocks")}
    return row | {"kind": first.provenance, "data": first.data}


def improvement_percent(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By how much an error is lower, in percent of what it was."""
    return 100 * (before - after) / before


def semi_supervised_text(table: pd.DataFrame) -> Text:
    """Two rows a share of labels, for the median, which Figure 3 shows, and for the mean."""
    kinds = "".join(f", {kind}" for kind in table["kind"].unique())
    header = [f"labelled{kinds}", "EPE", "Var. 1, supervised", "Var. 3, semi-supervised"]
    header += ["Var. 3 − Var. 1", "improvement, %"]
    rows = []
    for row in table.to_dict("records"):
        ours, printed = row["improvement_percent"], row["paper_improvement_percent"]
        improvement = row_interval(row, "improvement_percent", partial(signed, digits=1))
        if not pd.isna(printed):
            improvement += f"\npaper up to {printed:.0f}"
            if row["kind"] == "published":
                improvement += f" (ours {signed(ours - printed, digits=1)})\n{row['verdict']}"
        for statistic, name, last in (("epe_median_mm", "median", improvement), ("epe_mean_mm", "mean", "")):
            cells = [_model_cell(row, side, f"{side}_{statistic}") for side in SIDES]
            difference = row_interval(row, f"difference_{statistic}", signed)
            rows.append([f"{row['label_percent']:g} %", name, *cells, difference, last])
    mean_poses = dict.fromkeys(map("{:.2f}".format, table["mean_pose_epe_mm"]))
    return header, rows + [["mean pose", "mean", text, text, "", ""] for text in mean_poses]


def _model_cell(row: dict[str, object], side: str, column: str) -> str:
    if pd.isna(row[column]):
        return "–"
    return "\n".join([row_interval(row, column), *over_seeds(row, column, f"{side}_seeds")])
