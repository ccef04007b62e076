"""Paired comparison of models on the same test frames: do two models differ, or would other frames turn them round?

Two models that see the same frames err on the same hard ones, so that their difference is far more certain than each
number alone. What a test on frames cannot know is another training run: its spread is not in any of these numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import h5py
import numpy as np
import pandas as pd

from handvae.base.errors import InputError
from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import metrics, statistics
from handvae.report import paper
from handvae.report.table_text import Markdown, signed
from handvae.report.tables import Result, frame_of

PERMUTATIONS = 10_000
LEVEL = 0.05  # of all tests of the table together
SEED = 0
COLUMNS = (
    *("task", "model_a", "model_b", "difference_mm", "difference_mm_low", "difference_mm_high", "p", "p_holm"),
    *("paper_difference_mm", "verdict", "frames", "kind"),
)


@dataclass(frozen=True)
class Frames:
    """A model's N test frames: errors (N, J) in mm of the evaluated joints, which of them count, whose they are."""

    errors_mm: np.ndarray
    visible: np.ndarray
    rows: np.ndarray  # of the preprocessed set
    names: np.ndarray


def paired_table(results: list[Result]) -> pd.DataFrame:
    """One row for every two models of a task: mean EPE of a minus that of b, its interval, and whether it is one.

    `p` is of the sign-flip test, `p_holm` corrected for all rows. InputError where models of a task were tested on
    different frames.
    """
    rows = []
    for models in _by_task([result for result in results if result.compared]):
        rows += _rows(models)
    table = frame_of(rows, COLUMNS)
    if rows:
        table["p_holm"] = holm(table["p"].to_numpy())
        table["verdict"] = [_verdict(*pair) for pair in zip(table["difference_mm"], table["p_holm"], strict=True)]
    return table


def _by_task(results: list[Result]) -> list[list[Result]]:
    """The models of each task and subject left out, in the order of the grid."""
    tasks: dict[tuple, list[Result]] = {}
    for result in results:
        tasks.setdefault((result.task, result.test_subject), []).append(result)
    return list(tasks.values())


def _rows(models: list[Result]) -> list[dict[str, object]]:
    """All pairs of one task, without what depends on the other tasks' pairs."""
    frames = same_frames(models)
    pairs = list(combinations(range(len(models)), 2))
    if not pairs:
        return []
    means_mm = [metrics.mean_over_joints(one.errors_mm, one.visible) for one in frames]
    drawn_mm = resampled(frames, statistics.resampled_means)
    shares = np.stack([mean_shares(one.errors_mm, one.visible) for one in frames], axis=1)  # (N, M)
    p_values = sign_flip_p_values(np.stack([shares[:, a] - shares[:, b] for a, b in pairs], axis=1))
    rows = []
    for (a, b), p in zip(pairs, p_values, strict=True):
        low, high = np.percentile(drawn_mm[a] - drawn_mm[b], statistics.PERCENTILES)
        printed_mm = [_printed_mm(models[number]) for number in (a, b)]
        row = {
            "task": _task_name(models[a]),
            "model_a": models[a].experiment,
            "model_b": models[b].experiment,
            "difference_mm": means_mm[a] - means_mm[b],
            "difference_mm_low": low,
            "difference_mm_high": high,
            "p": p,
            "p_holm": np.nan,
            "paper_difference_mm": np.nan if None in printed_mm else printed_mm[0] - printed_mm[1],
            "verdict": "",
            "frames": len(shares),
            "kind": models[a].kind,
        }
        rows.append(row)
    return rows


def read_frames(result: Result) -> Frames:
    """The frames of one experiment; from depth all evaluated joints count, as in the public evaluation."""
    evaluated = list(SKELETONS[SKELETON_OF[result.dataset]].evaluated)
    with h5py.File(result.predictions) as file:
        joints = (file[key][:][:, evaluated] for key in ("joints_pred_mm", "joints_true_mm"))
        errors_mm = metrics.joint_errors_mm(*joints)
        seen = np.ones(errors_mm.shape, bool) if result.input == "depth" else file["visible"][:][:, evaluated]
        return Frames(errors_mm, seen, file["row"][:], file["name"].asstr()[:])


def same_frames(results: list[Result]) -> list[Frames]:
    """The frames of some experiments, which must be the same test frames in the same order."""
    read = [read_frames(result) for result in results]
    for result, frames in zip(results[1:], read[1:], strict=True):
        for what in ("names", "rows", "visible"):
            expected, found = getattr(read[0], what), getattr(frames, what)
            if not np.array_equal(expected, found):
                raise InputError(
                    f"{result.predictions}: expected the {len(expected)} test frames of {results[0].predictions}, "
                    f"found other {what}"
                )
    return read


def resampled(models: list[Frames], statistic: Callable[..., np.ndarray]) -> np.ndarray:
    """A statistic of `statistics` for M models over resamples of their frames (M, R), the same draws for each model."""
    draws = statistics.resampled_counts(len(models[0].rows), SEED, statistics.RESAMPLES)
    parts = [[statistic(one.errors_mm, one.visible, counts) for one in models] for counts in draws]
    return np.concatenate(parts, axis=1)


def mean_shares(errors_mm: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """What each frame adds to the protocol's mean EPE (N,): their sum is `metrics.mean_over_joints`."""
    return (errors_mm * visible / visible.sum(axis=0)).mean(axis=1)


def sign_flip_p_values(differences_mm: np.ndarray) -> np.ndarray:
    """Two-sided p-values (P,) of the sums of P columns of paired differences (N, P), by random sign flips of frames.

    Were two models alike, which of them errs more on a frame would be a coin's toss. All columns share the tosses;
    p = (1 + k) / (1 + n), where k of n tosses give a sum as far from 0 as the measured one.
    """
    observed = np.abs(differences_mm.sum(axis=0))
    # a toss that gives the measured sum again must count, whatever its rounding
    reached = observed - 1e-12 * np.abs(differences_mm).sum(axis=0)
    generator = np.random.default_rng(SEED)
    beyond = np.zeros(len(observed), int)
    for start in range(0, PERMUTATIONS, 500):
        tosses = generator.integers(0, 2, (min(500, PERMUTATIONS - start), len(differences_mm)), dtype=np.int8)
        beyond += (np.abs((2.0 * tosses - 1) @ differences_mm) >= reached).sum(axis=0)
    return (1 + beyond) / (1 + PERMUTATIONS)


def holm(p_values: np.ndarray) -> np.ndarray:
    """P-values corrected for their number by Holm's step-down rule: the smallest times n, the next times n - 1, ..."""
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected


def _verdict(difference_mm: float, p_holm: float) -> str:
    if p_holm >= LEVEL:
        return "cannot be told apart"
    return "a better" if difference_mm < 0 else "b better"


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
    header, rows = ["a", "b", "a − b, mm", "p", "p, Holm", "paper, mm", "verdict"], []
    for (task, kind), of_task in table.groupby(["task", "kind"], sort=False):
        rows.append([Markdown(f"**{task}, {kind}**"), *[""] * (len(header) - 1)])
        rows += [_text_row(row) for row in of_task.to_dict("records")]
    return header, rows


def _text_row(row: dict[str, object]) -> list[str]:
    difference, low, high = (signed(row[f"difference_mm{end}"]) for end in ("", "_low", "_high"))
    printed = "–" if pd.isna(row["paper_difference_mm"]) else signed(row["paper_difference_mm"])
    p_values = [f"{row[key]:.4f}" for key in ("p", "p_holm")]
    return [row["model_a"], row["model_b"], f"{difference} [{low}, {high}]", *p_values, printed, row["verdict"]]
