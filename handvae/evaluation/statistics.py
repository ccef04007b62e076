"""The numbers of one experiment with 95 % bootstrap intervals over frames.

A frame is drawn with all its joints and their visibility, since the errors of one hand's joints go together. Intervals
are percentiles of 1,000 resamples from a seeded generator; mean, median and AUC share the resamples.
"""

from collections.abc import Iterator

import numpy as np

from handvae.evaluation import metrics

RESAMPLES = 1000
CHUNK = 50  # resamples held at once: memory grows with the frames only
PERCENTILES = (2.5, 97.5)
PCF_MM = (10, 20, 30, 40, 50, 80)


def summarise(
    joints_pred_mm: np.ndarray, joints_true_mm: np.ndarray, visible: np.ndarray, mean_pose_mm: np.ndarray, seed: int
) -> dict[str, float | int]:
    """The flat metrics of one experiment; joints (N, J, 3) in mm, palm-relative, visible (N, J) bool.

    `mean_pose_mm` (N, J, 3) is the baseline that looks at no input. `epe_mean_all_joints_mm` counts hidden joints too,
    as the baseline's 2D->3D evaluation does. Raises InputError for what `metrics` refuses.
    """
    errors_mm = metrics.joint_errors_mm(joints_pred_mm, joints_true_mm)
    epe_mean_mm = metrics.mean_over_joints(errors_mm, visible)
    mean_pose_epe_mm = metrics.mean_over_joints(metrics.joint_errors_mm(mean_pose_mm, joints_true_mm), visible)
    intervals = bootstrap_intervals(errors_mm, visible, seed)
    numbers = {
        **_with_interval("epe_mean_mm", epe_mean_mm, intervals),
        **_with_interval("epe_median_mm", metrics.median_over_joints(errors_mm, visible), intervals),
        **_with_interval("auc_20_50", metrics.auc_exact(errors_mm, visible, 20, 50), intervals),
        "auc_21_50": metrics.auc_by_trapezoid(errors_mm, visible, metrics.THRESHOLDS_21_50_MM),
        "auc_0_50": metrics.auc_by_trapezoid(errors_mm, visible, metrics.THRESHOLDS_MM),
        "epe_mean_all_joints_mm": metrics.mean_over_joints(errors_mm, np.ones_like(visible)),
        "mean_pose_epe_mm": mean_pose_epe_mm,
        "epe_share_of_mean_pose": epe_mean_mm / mean_pose_epe_mm,
    }
    return {**_rounded(numbers), "frames": len(errors_mm)}


def summarise_depth(
    joints_pred_mm: np.ndarray, joints_true_mm: np.ndarray, mean_pose_mm: np.ndarray, seed: int
) -> dict[str, float | int]:
    """The flat metrics of one depth experiment; the evaluated joints (N, J, 3) in absolute mm.

    The public evaluation: no alignment, mean and median over all frames and joints at once, and the share of frames
    whose largest error is within a distance, `pcf_20`. The interval's median is that over joints.
    """
    errors_mm = metrics.joint_errors_mm(joints_pred_mm, joints_true_mm)
    every = np.ones(errors_mm.shape, bool)
    intervals = bootstrap_intervals(errors_mm, every, seed)
    mean_pose_epe_mm = float(metrics.joint_errors_mm(mean_pose_mm, joints_true_mm).mean())
    shares = metrics.pcf(errors_mm, np.array(PCF_MM))
    numbers = {
        **_with_interval("epe_mean_mm", float(errors_mm.mean()), intervals),
        "epe_median_mm": float(np.median(errors_mm)),
        **{f"pcf_{threshold}": share for threshold, share in zip(PCF_MM, shares, strict=True)},
        "mean_pose_epe_mm": mean_pose_epe_mm,
        "epe_share_of_mean_pose": float(errors_mm.mean()) / mean_pose_epe_mm,
    }
    return {**_rounded(numbers), "frames": len(errors_mm)}


def previous_frame(joints_true_mm: np.ndarray, visible: np.ndarray, previous_row: np.ndarray) -> dict[str, float | int]:
    """Of a video: the error of the true pose of the frame before, where that is known; nothing where it never is.

    A model whose error is larger says less than a look at where the hand has just been.
    """
    rows = np.flatnonzero(previous_row >= 0)
    if not len(rows):
        return {}
    errors_mm = metrics.joint_errors_mm(joints_true_mm[previous_row[rows]], joints_true_mm[rows])
    error_mm = metrics.mean_over_joints(errors_mm, visible[rows])
    return {**_rounded({"previous_frame_epe_mm": error_mm}), "previous_frame_frames": len(rows)}


def evenly_ranked(errors_mm: np.ndarray, count: int) -> np.ndarray:
    """Indices of `count` frames at evenly spaced ranks of error, 10th to 90th percentile, best first.

    The rule by which a figure picks its samples, so that it shows neither the best nor the worst by choice. Where there
    are too few frames for that, each is taken once.
    """
    ranks = np.linspace(0.1, 0.9, count) * (len(errors_mm) - 1)
    return np.argsort(errors_mm, kind="stable")[np.unique(np.round(ranks).astype(int))]


def pck_table(joints_pred_mm: np.ndarray, joints_true_mm: np.ndarray, visible: np.ndarray) -> list[tuple[float, float]]:
    """Rows (threshold_mm, pck) at the protocol's 20 thresholds, 0 to 50 mm."""
    errors_mm = metrics.joint_errors_mm(joints_pred_mm, joints_true_mm)
    curve = metrics.pck(errors_mm, visible, metrics.THRESHOLDS_MM)
    return [(round(float(t), 4), round(float(p), 4)) for t, p in zip(metrics.THRESHOLDS_MM, curve, strict=True)]


def pcf_table(joints_pred_mm: np.ndarray, joints_true_mm: np.ndarray) -> list[tuple[float, float]]:
    """Rows (threshold_mm, pcf) at 0, 1, ... 80 mm."""
    curve = metrics.pcf(metrics.joint_errors_mm(joints_pred_mm, joints_true_mm), np.arange(81.0))
    return [(float(threshold), round(float(share), 4)) for threshold, share in enumerate(curve)]


def bootstrap_intervals(
    errors_mm: np.ndarray, visible: np.ndarray, seed: int, resamples: int = RESAMPLES
) -> dict[str, tuple[float, float]]:
    """95 % percentile intervals of mean EPE, median EPE and AUC 20-50 mm; errors (N, J), visible (N, J) bool."""
    areas = metrics.area_shares(errors_mm, 20, 50)
    columns: dict[str, list[np.ndarray]] = {"epe_mean_mm": [], "epe_median_mm": [], "auc_20_50": []}
    for counts in resampled_counts(len(errors_mm), seed, resamples):
        columns["epe_mean_mm"].append(resampled_means(errors_mm, visible, counts))
        columns["epe_median_mm"].append(resampled_medians(errors_mm, visible, counts))
        columns["auc_20_50"].append(resampled_means(areas, visible, counts))
    ends = {name: np.percentile(np.concatenate(parts), PERCENTILES) for name, parts in columns.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def resampled_means(values: np.ndarray, visible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`metrics.mean_over_joints` of R resamples at once (R,); counts (R, N): how often each resample holds a frame.

    A joint that a resample happens to show nowhere is left out of that resample's mean over joints.
    """
    with np.errstate(invalid="ignore"):
        means = (counts @ (values * visible)) / (counts @ visible.astype(np.float64))  # (R, J)
    return np.nanmean(means, axis=1)


def resampled_medians(values: np.ndarray, visible: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """`metrics.median_over_joints` of R resamples at once (R,), with the same rule for a joint shown nowhere."""
    medians = np.full((len(counts), values.shape[1]), np.nan)
    for joint in range(values.shape[1]):
        shown = np.flatnonzero(visible[:, joint])
        order = shown[np.argsort(values[shown, joint])]
        cumulative = counts[:, order].cumsum(axis=1)  # (R, n): copies of the frames up to this rank
        total = cumulative[:, -1:]
        # an even number of copies has two middle ones, whose mean is the median
        lower, upper = ((cumulative <= middle).sum(axis=1) for middle in ((total - 1) // 2, total // 2))
        some = total[:, 0] > 0
        ranked = values[order, joint]
        medians[some, joint] = (ranked[lower[some]] + ranked[upper[some]]) / 2
    return np.nanmean(medians, axis=1)


def resampled_counts(frames: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Chunks (<= CHUNK, N) of how often each of `resamples` draws of N from N frames holds each frame."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, CHUNK):
        rows = min(CHUNK, resamples - start)
        drawn = generator.integers(0, frames, size=(rows, frames)) + frames * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * frames).reshape(rows, frames)


def _with_interval(name: str, number: float, intervals: dict[str, tuple[float, float]]) -> dict[str, float]:
    low, high = intervals[name]
    return {name: number, f"{name}_low": low, f"{name}_high": high}


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    """To a ten-thousandth of a millimetre: beyond any meaning, and short enough to read in a diff."""
    return {name: round(float(number), 4) for name, number in numbers.items()}
