"""Paired comparison of models on the same test frames: do two models differ, or would other frames or other training
seeds turn them round?

Two models that see the same frames err on the same hard ones, so that their difference is far more certain than each
number alone. Whether it is one of the variants behind them, several training seeds of each must show.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import bootstrap, metrics, uncertainty
from handvae.evaluation.uncertainty import LEVEL, Number
from handvae.report import paper
from handvae.report.results import Result
from handvae.report.table_text import Markdown, interval_text, signed
from handvae.report.tables import frame_of

PERMUTATIONS = 10_000
SEED = 0
A_BETTER, B_BETTER = "a better", "b better"
COLUMNS = (
    *("task", "model_a", "model_b", "difference_mm", "difference_mm_low", "difference_mm_high", "p_frames", "p"),
    *("p_holm", "paper_difference_mm", "verdict", "seeds", "frames", "blocks", "kind"),
)


@dataclass(frozen=True)
class Frames:
    """An experiment's N test frames: errors in mm (N, J) of the evaluated joints of each seed's model, which of them
    count, and whose the frames are."""

    errors_mm: list[np.ndarray]
    visible: np.ndarray
    block: np.ndarray  # (N,) of those drawn together
    rows: np.ndarray  # of the preprocessed set
    names: np.ndarray


def paired_table(results: list[Result]) -> pd.DataFrame:
    """One row for every two models of a task: mean EPE of a minus that of b, its interval, and whether it is one.

    `p_frames` is of the sign-flip test on the frames of the first seeds; `p` of frames and seeds, where there are
    enough of these; `p_holm` is `p` corrected for the number of such rows. InputError where models of a task were
    tested on different frames.
    """
    found = [row for models in _by_task([result for result in results if result.compared]) for row in _rows(models)]
    rows, numbers = [row for row, _ in found], [number for _, number in found]
    table = frame_of(rows, COLUMNS)
    if rows:
        table["p_holm"], factors = holm(table["p"].to_numpy())
        levels = LEVEL / np.maximum(factors, 1)
        table["verdict"] = [_verdict(*of_row) for of_row in zip(numbers, table["p_holm"], levels, strict=True)]
    return table


def _by_task(results: list[Result]) -> list[list[Result]]:
    """The models of each task and subject left out, in the order of the grid."""
    tasks: dict[tuple, list[Result]] = {}
    for result in results:
        tasks.setdefault((result.task, result.test_subject), []).append(result)
    return list(tasks.values())


def _rows(models: list[Result]) -> list[tuple[dict[str, object], Number]]:
    """All pairs of one task, without what depends on the other tasks' pairs."""
    frames = same_frames(models)
    pairs = list(combinations(range(len(models)), 2))
    if not pairs:
        return []
    block, spread = frames[0].block, spread_of(frames, bootstrap.mean)
    shares = np.stack([mean_shares(one.errors_mm[0], one.visible) for one in frames], axis=1)  # (N, M)
    p_frames = sign_flip_p_values(np.stack([shares[:, a] - shares[:, b] for a, b in pairs], axis=1), block)
    rows = []
    for (a, b), p in zip(pairs, p_frames, strict=True):
        number = spread.number(difference, a, b)
        printed_mm = [_printed_mm(models[place]) for place in (a, b)]
        row = {
            "task": _task_name(models[a]),
            "model_a": models[a].experiment,
            "model_b": models[b].experiment,
            **numbers_of("difference_mm", number),
            "p_frames": p,
            "p": number.p_value() if number.seeds >= uncertainty.LEAST_SEEDS else np.nan,
            "p_holm": np.nan,
            "paper_difference_mm": np.nan if None in printed_mm else printed_mm[0] - printed_mm[1],
            "verdict": "",
            "seeds": number.seeds,
            "frames": len(shares),
            "blocks": number.blocks,
            "kind": models[a].kind,
        }
        rows.append((row, number))
    return rows


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a - b


def numbers_of(name: str, number: Number) -> dict[str, float]:
    """A number with the ends of its interval, as columns."""
    low, high = number.interval()
    return {name: number.value, f"{name}_low": low, f"{name}_high": high}


def read_frames(result: Result) -> Frames:
    """The frames of one experiment; from depth all evaluated joints count, as in the public evaluation."""
    evaluated = list(SKELETONS[SKELETON_OF[result.dataset]].evaluated)
    with result.opened() as file:
        true_mm = file["joints_true_mm"][:][:, evaluated]
        groups = ["", *(f"seed-{number}/" for number in range(1, result.seeds))]
        predicted_mm = (file[f"{group}joints_pred_mm"][:][:, evaluated] for group in groups)
        errors_mm = [metrics.joint_errors_mm(joints_mm, true_mm) for joints_mm in predicted_mm]
        seen = np.ones(true_mm.shape[:2], bool) if result.input == "depth" else file["visible"][:][:, evaluated]
        return Frames(errors_mm, seen, file["block"][:], file["row"][:], file["name"].asstr()[:])


def same_frames(results: list[Result]) -> list[Frames]:
    """The frames of some experiments, which must be the same test frames in the same order."""
    read = [read_frames(result) for result in results]
    for result, frames in zip(results[1:], read[1:], strict=True):
        for what in ("names", "rows", "visible", "block"):
            expected, found = getattr(read[0], what), getattr(frames, what)
            if not np.array_equal(expected, found):
                raise InputError(
                    f"{result.predictions}: expected the {len(expected)} test frames of {results[0].predictions}, "
                    f"found other {what}"
                )
    return read


@dataclass(frozen=True)
class Spread:
    """A statistic of some models on the same frames: of each its seeds' values (S,), and the same over resamples."""

    values: list[np.ndarray]
    draws: list[np.ndarray]  # of each model (S, R)
    blocks: int

    def number(self, of: Callable[..., np.ndarray], *models: int) -> Number:
        """What `of` makes of the values of the models at these places: see `uncertainty.number`."""
        return uncertainty.number(of, [self.values[m] for m in models], [self.draws[m] for m in models], self.blocks)


def spread_of(models: list[Frames], statistic: Callable[..., bootstrap.Statistic]) -> Spread:
    """`bootstrap.mean` or `.median` of models on the same frames, by the same draws for each model and seed."""
    block = models[0].block
    made = [statistic(errors_mm, one.visible, block) for one in models for errors_mm in one.errors_mm]
    ends = np.cumsum([len(one.errors_mm) for one in models])[:-1]
    values, draws = bootstrap.measured(made, block), bootstrap.resampled(made, block, SEED)
    return Spread(np.split(values, ends), np.split(draws, ends), bootstrap.count(block))


def mean_shares(errors_mm: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """What each frame adds to the protocol's mean EPE (N,): their sum is `metrics.mean_over_joints`."""
    return (errors_mm * visible / visible.sum(axis=0)).mean(axis=1)


def sign_flip_p_values(differences_mm: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Two-sided p-values (P,) of the sums of P columns of paired differences (N, P), by random sign flips of blocks.

    Were two models alike, which of them errs more on a block of frames, `block` (N,), would be a coin's toss. All
    columns share the tosses; p = (1 + k) / (1 + n), where k of n tosses give a sum as far from 0 as the measured one.
    """
    differences_mm = bootstrap.block_sums(differences_mm, block)
    observed = np.abs(differences_mm.sum(axis=0))
    # a toss that gives the measured sum again must count, whatever its rounding
    reached = observed - 1e-12 * np.abs(differences_mm).sum(axis=0)
    generator = np.random.default_rng(SEED)
    beyond = np.zeros(len(observed), int)
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


def _verdict(number: Number, p_holm: float, level: float) -> str:
    """Which of two models is better; where that cannot be told, what is lacking to tell it at `level`."""
    if p_holm < LEVEL:
        return A_BETTER if number.value < 0 else B_BETTER
    return uncertainty.untold(number, abs(number.value), level)


def _printed_mm(result: Result) -> float | None:
    """The paper's mean EPE of a model. Of depth it prints one an encoder, of a set that is probably ICVL."""
    if result.input == "depth":
        return paper.DEPTH_MM.get(result.encoder) if result.dataset == "icvl" else None
    return paper.mean_epe_mm(result.task, result.variant, result.invariances) if result.papers_encoder else None


def _task_name(result: Result) -> str:
    subject = f", {result.test_subject}" if result.test_subject else ""
    return f"{paper.DIRECTIONS[result.input]} {result.dataset.upper()}{subject}"


def as_text(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows in Markdown; above the rows of a task stands one that names it and says what the data is."""
    header = ["a", "b", "a − b, mm", "p, frames", "p", "p, Holm", "paper, mm", "seeds", "verdict"]
    rows = []
    for (task, kind, blocks), of_task in table.groupby(["task", "kind", "blocks"], sort=False):
        name = Markdown(f"**{task}, {kind}, {blocks:,} blocks of frames**")
        rows.append([name, *[""] * (len(header) - 1)])
        rows += [_text_row(row) for row in of_task.to_dict("records")]
    return header, rows


def _text_row(row: dict[str, object]) -> list[str]:
    difference_mm = interval_text(*(row[f"difference_mm{end}"] for end in ("", "_low", "_high")), signed)
    printed = "–" if pd.isna(row["paper_difference_mm"]) else signed(row["paper_difference_mm"])
    p_values = ["–" if pd.isna(row[key]) else f"{row[key]:.4f}" for key in ("p_frames", "p", "p_holm")]
    return [row["model_a"], row["model_b"], difference_mm, *p_values, printed, str(row["seeds"]), row["verdict"]]
