"""Errors of published depth predictions by the public evaluation: one line a frame, u v d a joint, in px px mm.

Joints are compared in absolute camera coordinates, with no alignment. Mean and median are taken over all frames and
joints at once, unlike in the protocol of the RGB sets.
"""

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handvae.base.errors import InputError
from handvae.base.geometry import back_project
from handvae.datasets import text
from handvae.evaluation import metrics

MAX_LINES = 200_000  # MSRA has 76,391 frames, and there may be a blank line after each
THRESHOLDS_MM = (10, 20, 30, 40, 50, 80)
LABELS = "labels"  # among the files of data.<set>.references

# A hand is some 190 mm long. Half of the joints more than 200 mm off is not a bad method: published ones have means of
# 5 to 21 mm, and on ICVL one constant hand has a median of 64 mm, the labels of other frames 83 mm; NYU's wider field
# needs the margin. x y z taken for u v d are as far off as the principal point is at the hand's depth: 290 mm on ICVL.
IMPOSSIBLE_MM = 200.0
_EXPLAINED_MM = 50.0  # a median below it shows how the file must be read
_NEGATIVE_SHARE = 0.2  # of joints with a negative u or v: labels lie in their image (ICVL's all do), x y z around 0
_NEAREST_LABELS_MM = 100.0  # no depth camera measures a hand so near
_AXES = {"": (1, 1, 1), ", y up": (1, -1, 1), ", y up and z backwards": (1, -1, -1), ", z backwards": (1, 1, -1)}
_MM = {"mm": 1, "cm": 10, "m": 1000}


@dataclass(frozen=True)
class Evaluation:
    """How the public evaluation reads a set: the number of joints it scores and its camera, in px."""

    joints: int
    fx: float
    fy: float
    cx: float
    cy: float
    of_all: tuple[int, ...] = ()  # the scored joints among those of the whole skeleton, where a file holds it
    all_joints: int = 0  # of the whole skeleton; 0: no file holds it

    @property
    def camera(self) -> np.ndarray:
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])


# Intrinsics of the public evaluation, which differ slightly from the data sets' own (ICVL 241.42): 0.01 mm in the mean.
EVALUATIONS = {
    "icvl": Evaluation(16, 240.99, 240.96, 160, 120),
    "nyu": Evaluation(14, 588.03, 587.07, 320, 240, (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32), 36),
    "msra": Evaluation(21, 241.42, 241.42, 160, 120),
}


@dataclass(frozen=True)
class Score:
    """Errors in mm; `pcf` and `pck` are shares, 0 to 1, at THRESHOLDS_MM. `doubt`: why they cannot be right, or ""."""

    dataset: str
    frames: int
    joints: int
    mean_mm: float
    median_mm: float
    pcf: np.ndarray  # (6,) frames whose largest joint error is at most the threshold
    pck: np.ndarray  # (6,) joints whose error is at most the threshold
    doubt: str


def score(dataset: str, truth: Path, predictions: Path) -> Score:
    """Score a prediction file against a label file of the same frames in the same order.

    Raises InputError for a bad file (see `read_uvd`), different numbers of frames and labels that do
    not lie in front of the camera. A prediction may lie anywhere: a failed frame of zeros is an error like any other.
    """
    (errors_mm, doubt), thresholds_mm = compared(dataset, truth, predictions), np.array(THRESHOLDS_MM)
    return Score(
        dataset=dataset,
        frames=len(errors_mm),
        joints=errors_mm.shape[1],
        mean_mm=float(errors_mm.mean()),
        median_mm=float(np.median(errors_mm)),
        pcf=metrics.pcf(errors_mm, thresholds_mm),
        pck=metrics.pck(errors_mm, np.ones(errors_mm.shape, dtype=bool), thresholds_mm),
        doubt=doubt,
    )


def compared(dataset: str, truth: Path, predictions: Path) -> tuple[np.ndarray, str]:
    """The errors (N, J) in mm that `score` sums up, and its doubt. InputError as `score`."""
    evaluation = EVALUATIONS[dataset]
    true_uvd, pred_uvd = read_uvd(truth, evaluation), read_uvd(predictions, evaluation)
    if len(true_uvd) != len(pred_uvd):
        raise InputError(f"{predictions}: expected {len(true_uvd)} frames as in {truth}, found {len(pred_uvd)}")
    behind = np.argwhere(true_uvd[..., 2] <= 0)
    if len(behind):
        frame, joint = behind[0]
        depth_mm = true_uvd[frame, joint, 2]
        hint = "; are these x y z with z backwards?" if 2 * len(behind) > true_uvd[..., 2].size else ""
        raise InputError(
            f"{truth}: expected depths above 0 mm, found {depth_mm:g} at joint {joint} of frame {frame}, both from 0"
            f"{hint}"
        )
    true_mm = back_project(true_uvd, evaluation.camera)
    errors_mm = metrics.joint_errors_mm(back_project(pred_uvd, evaluation.camera), true_mm)
    return errors_mm, _doubt_of_labels(true_uvd) or _doubt_of_predictions(pred_uvd, true_mm, errors_mm, evaluation)


def _doubt_of_labels(uvd: np.ndarray) -> str:
    negative, depth_mm = (uvd[..., :2] < 0).any(axis=-1).mean(), np.median(uvd[..., 2])
    if negative > _NEGATIVE_SHARE:
        return f"{100 * negative:.0f} % of the labels have a negative u or v: they are probably x y z, not u v d"
    if depth_mm < _NEAREST_LABELS_MM:
        return f"half of the labels are nearer than {depth_mm:.3g} mm to the camera: their d is probably not in mm"
    return ""


def _doubt_of_predictions(uvd: np.ndarray, true_mm: np.ndarray, errors_mm: np.ndarray, evaluation: Evaluation) -> str:
    given = uvd.any(axis=-1)  # a failed frame of zeros is an error, but says nothing of coordinates
    if not given.any() or (median_mm := np.median(errors_mm[given])) <= IMPOSSIBLE_MM:
        return ""
    doubt = (
        f"half of the predicted joints are {median_mm:.0f} mm or more from the truth, farther than a hand is long: the "
        "predictions are probably not u v d in px, px, mm of the same frames"
    )
    readings = {f"x y z in {unit}{axes}": uvd * mm * signs for unit, mm in _MM.items() for axes, signs in _AXES.items()}
    readings |= {
        f"u v d with d in {unit}": back_project(uvd * (1, 1, _MM[unit]), evaluation.camera) for unit in ("cm", "m")
    }
    medians_mm = {
        name: np.median(metrics.joint_errors_mm(joints_mm, true_mm)[given]) for name, joints_mm in readings.items()
    }
    best = min(medians_mm, key=medians_mm.get)
    if medians_mm[best] > _EXPLAINED_MM:
        return doubt
    return f"{doubt}; read as {best}, their median error is {medians_mm[best]:.3f} mm"


def reference_curves(
    dataset: str, files: dict[str, str], thresholds_mm: np.ndarray
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """PCF of other methods: (label, thresholds (T,) in mm, shares (T,)) for each file; `files["labels"]`: the truth."""
    curves = []
    for method, predictions in files.items():
        if method != LABELS:
            errors_mm, doubt = compared(dataset, Path(files[LABELS]), Path(predictions))
            label = f"{method}: mean error {errors_mm.mean():.1f} mm" + (" (not u v d?)" if doubt else "")
            curves.append((label, thresholds_mm, metrics.pcf(errors_mm, thresholds_mm)))
    return curves


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
    """What --json prints: the table's numbers with the table's digits, so that the two never disagree. `warning` is
    None unless the numbers cannot be right."""
    return {
        "set": result.dataset,
        "frames": result.frames,
        "joints": result.joints,
        "mean_mm": round(result.mean_mm, 3),
        "median_mm": round(result.median_mm, 3),
        "thresholds_mm": list(THRESHOLDS_MM),
        "pcf_percent": [round(100 * float(share), 1) for share in result.pcf],
        "pck_percent": [round(100 * float(share), 1) for share in result.pck],
        "warning": result.doubt or None,
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
    return "\n".join([*lines, *(["", f"warning: {result.doubt}"] if result.doubt else [])])
