"""Errors of published depth predictions by the public evaluation: one line a frame, u v d a joint, in px px mm.

Labels and predictions are text files of that form. Joints are compared in absolute camera coordinates, with no
alignment, and mean and median are taken over all frames and joints at once, unlike the protocol of the RGB sets.
"""

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.datasets import text
from handvae.evaluation import metrics

MAX_LINES = 200_000  # MSRA has 76,391 frames, and there may be a blank line after each
THRESHOLDS_MM = (10, 20, 30, 40, 50, 80)
LABELS = "labels"  # among the files of data.<set>.references


@dataclass(frozen=True)
class Evaluation:
    """How the public evaluation reads a set: the number of joints it scores and its camera, in px."""

    joints: int
    fx: float
    fy: float
    cx: float
    cy: float
    of_all: tuple[int, ...] = ()  # which rows the scored joints are where a file holds the whole skeleton
    all_joints: int = 0  # of the whole skeleton, where there is such a file


# Intrinsics of the public evaluation, which differ slightly from the data sets' own (ICVL 241.42): 0.01 mm in the mean.
EVALUATIONS = {
    "icvl": Evaluation(16, 240.99, 240.96, 160, 120),
    "nyu": Evaluation(14, 588.03, 587.07, 320, 240, (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32), 36),
    "msra": Evaluation(21, 241.42, 241.42, 160, 120),
}


@dataclass(frozen=True)
class Score:
    """Errors in mm; `pcf` and `pck` are shares, 0 to 1, at THRESHOLDS_MM."""

    dataset: str
    frames: int
    joints: int
    mean_mm: float
    median_mm: float
    pcf: np.ndarray  # (6,) frames whose largest joint error is at most the threshold
    pck: np.ndarray  # (6,) joints whose error is at most the threshold


def score(dataset: str, truth: Path, predictions: Path) -> Score:
    """Score a prediction file against a label file of the same frames in the same order.

    Raises InputError for an unknown set, a bad file (see `read_uvd`), different numbers of frames and labels that do
    not lie in front of the camera. A prediction may lie anywhere: a failed frame of zeros is an error like any other.
    """
    errors_mm, thresholds_mm = errors_of(dataset, truth, predictions), np.array(THRESHOLDS_MM)
    return Score(
        dataset=dataset,
        frames=len(errors_mm),
        joints=errors_mm.shape[1],
        mean_mm=float(errors_mm.mean()),
        median_mm=float(np.median(errors_mm)),
        pcf=metrics.pcf(errors_mm, thresholds_mm),
        pck=metrics.pck(errors_mm, np.ones(errors_mm.shape, dtype=bool), thresholds_mm),
    )


def errors_of(dataset: str, truth: Path, predictions: Path) -> np.ndarray:
    """The errors (N, J) in mm that `score` sums up; it says what is refused."""
    evaluation = evaluation_of(dataset)
    true_uvd, pred_uvd = read_uvd(truth, evaluation), read_uvd(predictions, evaluation)
    if len(true_uvd) != len(pred_uvd):
        raise InputError(f"{predictions}: expected {len(true_uvd)} frames as in {truth}, found {len(pred_uvd)}")
    behind = np.argwhere(true_uvd[..., 2] <= 0)
    if len(behind):
        frame, joint = behind[0]
        depth_mm = true_uvd[frame, joint, 2]
        raise InputError(
            f"{truth}: expected depths above 0 mm, found {depth_mm:g} at joint {joint} of frame {frame}, both from 0"
        )
    return metrics.joint_errors_mm(back_project(pred_uvd, evaluation), back_project(true_uvd, evaluation))


def reference_curves(
    dataset: str, files: dict[str, str], thresholds_mm: np.ndarray
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Other methods' PCF: (label, thresholds (T,) in mm, shares (T,)) of each file; `files["labels"]` is the truth."""
    curves = []
    for method, predictions in files.items():
        if method != LABELS:
            errors_mm = errors_of(dataset, Path(files[LABELS]), Path(predictions))
            label = f"{method}: mean error {errors_mm.mean():.1f} mm"
            curves.append((label, thresholds_mm, metrics.pcf(errors_mm, thresholds_mm)))
    return curves


def evaluation_of(dataset: str) -> Evaluation:
    if dataset not in EVALUATIONS:
        raise InputError(f"set: expected one of {', '.join(EVALUATIONS)}, found {text.shown(dataset)}")
    return EVALUATIONS[dataset]


def back_project(uvd: np.ndarray, evaluation: Evaluation) -> np.ndarray:
    """Camera-frame joints (..., 3) in mm, y down, of (..., 3) u, v in px and depth in mm."""
    u, v, depth_mm = np.moveaxis(uvd, -1, 0)
    x = (u - evaluation.cx) * depth_mm / evaluation.fx
    y = (v - evaluation.cy) * depth_mm / evaluation.fy
    return np.stack([x, y, depth_mm], axis=-1)


def read_uvd(path: Path, evaluation: Evaluation) -> np.ndarray:
    """The scored joints (N, J, 3), float64: u, v in px, depth in mm; blank lines and leading file names are left out.

    A file holds the scored joints or the whole skeleton (NYU: 14 or 36), the same in every line. Raises InputError
    that names the file and, within it, the line; memory and time are bounded whatever the file holds.
    """
    counts = tuple(3 * joints for joints in (evaluation.joints, evaluation.all_joints) if joints)
    numbers = array("d")
    for where, tokens in text.records(path, MAX_LINES):
        name, values = ([], tokens) if text.is_number(tokens[0]) else (tokens[:1], tokens[1:])
        if len(values) not in counts:
            after = f" after {text.shown(name[0])}" if name else ""
            expected = " or ".join(map(str, counts))
            raise InputError(f"{where}: expected {expected} values, found {len(values)}{after}")
        counts = (len(values),)
        numbers.extend(text.floats(where, values))
    if not numbers:
        raise InputError(f"{path}: expected one line a frame, found no values")
    uvd = np.frombuffer(numbers).reshape(-1, counts[0] // 3, 3)
    return uvd if uvd.shape[1] == evaluation.joints else uvd[:, evaluation.of_all]


def as_dict(result: Score) -> dict:
    """What --json prints: the table's numbers with the table's digits, so that the two never disagree."""
    return {
        "set": result.dataset,
        "frames": result.frames,
        "joints": result.joints,
        "mean_mm": round(result.mean_mm, 3),
        "median_mm": round(result.median_mm, 3),
        "thresholds_mm": list(THRESHOLDS_MM),
        "pcf_percent": [round(100 * float(share), 1) for share in result.pcf],
        "pck_percent": [round(100 * float(share), 1) for share in result.pck],
    }


def as_text(result: Score) -> str:
    """A table to read: mm with three decimals, shares in percent with one."""
    rows = as_dict(result)
    lines = [
        f"{result.dataset}: {result.frames} frames x {result.joints} joints, absolute camera coordinates",
        f"mean error    {rows['mean_mm']:8.3f} mm",
        f"median error  {rows['median_mm']:8.3f} mm",
        "",
        "within                          " + "".join(f"{f'{threshold} mm':>8}" for threshold in THRESHOLDS_MM),
    ]
    for label, key in (("PCF, % of frames, all joints", "pcf_percent"), ("PCK, % of joints", "pck_percent")):
        lines.append(f"{label:<32}" + "".join(f"{percent:8.1f}" for percent in rows[key]))
    return "\n".join(lines)
