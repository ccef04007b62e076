"""Paired comparison of models on the same test frames: would other frames or other training seeds turn them round?

Two models that see the same frames err on the same hard ones, so that their difference is far more certain than each
number alone. Whether the variants behind them differ, several training seeds of each must show.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from handvae.base.errors import InputError
from handvae.evaluation import bootstrap, uncertainty
from handvae.evaluation.uncertainty import LEVEL, Number
from handvae.report.predictions import Frames, read_frames
from handvae.report.results import Result
from handvae.report.tables import Text, frame_of
from handvae.report.text import Markdown, row_interval, signed

PERMUTATIONS = 10_000
SEED = 0  # of every draw behind a table, a claim or a figure
A_BETTER, B_BETTER = "a better", "b better"
COLUMNS = (
    *("task", "model_a", "model_b", "difference_mm", "difference_mm_low", "difference_mm_high", "p_frames", "p"),
    *("p_holm", "paper_difference_mm", "verdict", "seeds", "frames", "blocks", "kind"),
)


def paired_table(results: list[Result]) -> pd.DataFrame:
    """One row for every two models of a task: mean EPE of a minus that of b, its interval, and which is better.

    `p_frames` is of the sign-flip test on the frames of the first seeds; `p` of frames and seeds, where there are
    enough of these; `p_holm` is `p` corrected for the number of such rows. InputError where models of a task were
    tested on different frames.
    """
    tasks: dict[tuple, list[Result]] = {}
    for result in results:
        if result.paired:
            tasks.setdefault((result.task, result.test_subject), []).append(result)
    pairs = [pair for models in tasks.values() if len(models) > 1 for pair in _pairs(models)]
    p_holm, factors = holm(np.array([row["p"] for row, _ in pairs]))
    for (row, number), p, factor in zip(pairs, p_holm, factors, strict=True):
        better = A_BETTER if number.value < 0 else B_BETTER
        row["p_holm"], level = p, LEVEL / max(factor, 1)
        row["verdict"] = better if p < LEVEL else uncertainty.untold(number, abs(number.value), level)
    return frame_of([row for row, _ in pairs], COLUMNS)


def _pairs(models: list[Result]) -> list[tuple[dict[str, object], Number]]:
    """Every two models of one task: their row, without what depends on the other tasks' pairs, and their difference."""
    frames, first = same_frames(models), models[0]
    block, number_of = frames[0].block, numbers_on(frames, bootstrap.mean)
    pairs = list(combinations(range(len(models)), 2))
    # what each frame adds to the protocol's mean EPE
    shares = [(model.errors_mm[0] * model.counted / model.counted.sum(axis=0)).mean(axis=1) for model in frames]
    p_frames = sign_flip_p_values(np.stack([shares[a] - shares[b] for a, b in pairs], axis=1), block)
    subject = f", {first.test_subject}" if first.test_subject else ""
    rows = []
    for (a, b), p in zip(pairs, p_frames, strict=True):
        number = number_of(np.subtract, a, b)
        printed_mm = [models[i].printed_mm.get("epe_mean_mm", np.nan) for i in (a, b)]
        row = {
            "task": f"{first.task_name}{subject}",
            "model_a": models[a].experiment,
            "model_b": models[b].experiment,
            **numbers_of("difference_mm", number),
            "p_frames": p,
            "p": number.p_value() if number.seeds >= uncertainty.LEAST_SEEDS else np.nan,
            "p_holm": np.nan,
            "paper_difference_mm": printed_mm[0] - printed_mm[1],
            "verdict": "",
            "seeds": number.seeds,
            "frames": len(block),
            "blocks": number.blocks,
            "kind": first.provenance,
        }
        rows.append((row, number))
    return rows


def numbers_of(name: str, number: Number) -> dict[str, float]:
    """A number with the ends of its interval, as columns."""
    low, high = number.interval()
    return {name: number.value, f"{name}_low": low, f"{name}_high": high}


def same_frames(results: Sequence[Result]) -> list[Frames]:
    """The frames of some experiments. InputError where these are not the same test frames in the same order."""
    read = [read_frames([result]) for result in results]
    for result, frames in zip(results[1:], read[1:], strict=True):
        for column in ("name", "row", "visible", "block"):
            if not np.array_equal(getattr(read[0], column), getattr(frames, column)):
                raise InputError(
                    f"{result.predictions}: expected the {len(read[0].row)} test frames of {results[0].predictions}, "
                    f"found others in the column {column}"
                )
    return read


def numbers_on(models: list[Frames], statistic: Callable[..., bootstrap.Statistic]) -> Callable[..., Number]:
    """`statistic`, `bootstrap.mean` or `.median`, of models on the same frames; each model and seed has the same draws.

    Returns number_of(of, *indices): the Number that `of` makes of the statistics of the models with these indices.
    """
    block = models[0].block
    blocks = bootstrap.count(block)
    statistics = [statistic(errors_mm, model.counted, block) for model in models for errors_mm in model.errors_mm]
    ends = np.cumsum([len(model.joints_pred_mm) for model in models])[:-1]  # of each model's seeds
    values = np.split(bootstrap.measured(statistics, block), ends)
    draws = np.split(bootstrap.resampled(statistics, block, SEED), ends)
    return lambda of, *m: uncertainty.number(of, [values[i] for i in m], [draws[i] for i in m], blocks)


def sign_flip_p_values(differences_mm: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Two-sided p-values (P,) of the sums of P columns of paired differences (N, P), by random sign flips of blocks.

    Were two models alike, which of them errs more on a block of frames, `block` (N,), would be a coin's toss. All
    columns share the tosses; p = (1 + k) / (1 + n), where k of n tosses give a sum as far from 0 as the measured one.
    """
    differences_mm = bootstrap.block_sums(differences_mm, block)
    # a toss that gives the measured sum again must count, whatever its rounding
    reached = np.abs(differences_mm.sum(axis=0)) - 1e-12 * np.abs(differences_mm).sum(axis=0)
    generator, beyond = np.random.default_rng(SEED), np.zeros(len(reached), int)
    for start in range(0, PERMUTATIONS, 500):
        tosses = generator.integers(0, 2, (min(500, PERMUTATIONS - start), len(differences_mm)), dtype=np.int8)
        beyond += (np.abs((2.0 * tosses - 1) @ differences_mm) >= reached).sum(axis=0)
    return (1 + beyond) / (1 + PERMUTATIONS)


def holm(p_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """P-values corrected for their number by Holm's step-down rule, and the factor of each: the smallest times n, the
    next times n - 1, ... Those that are NaN are no tests and stay NaN, with factor 0."""
    order = np.argsort(p_values, kind="stable")[: np.isfinite(p_values).sum()]  # NaN comes last
    corrected, factors = np.full(len(p_values), np.nan), np.zeros(len(p_values), int)
    factors[order] = np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate((p_values * factors)[order]), 1)
    return corrected, factors


def paired_text(table: pd.DataFrame) -> Text:
    """A row for each pair; above the rows of a task one that names it and its data."""
    header = ["a", "b", "a − b, mm", "p, frames", "p", "p, Holm", "paper, mm", "seeds", "verdict"]
    rows = []
    for (task, provenance, blocks), pairs in table.groupby(["task", "kind", "blocks"], sort=False):
        title = Markdown(f"**{task}, {provenance}, {blocks:,} blocks of frames**")
        rows.append([title, *[""] * (len(header) - 1)])
        for row in pairs.to_dict("records"):
            p_values = ["–" if pd.isna(row[key]) else f"{row[key]:.4f}" for key in ("p_frames", "p", "p_holm")]
            printed = "–" if pd.isna(row["paper_difference_mm"]) else signed(row["paper_difference_mm"])
            cells = [row["model_a"], row["model_b"], row_interval(row, "difference_mm", signed), *p_values, printed]
            rows.append([*cells, str(row["seeds"]), row["verdict"]])
    return header, rows
