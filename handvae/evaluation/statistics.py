"""The numbers of one experiment with their 95 % intervals, over test frames and, where there are several, over seeds.

Every number is the mean over the experiment's models, one for each training seed. `bootstrap` says how frames are
drawn, `uncertainty` how the spread over frames and seeds becomes an interval. All numbers share the resamples.
"""

from collections.abc import Callable, Sequence

import numpy as np

from handvae.evaluation import bootstrap, metrics, uncertainty

PCF_MM = (10, 20, 30, 40, 50, 80)

# errors in mm (N, J) -> a statistic of them over resamples of their blocks
Measure = Callable[[np.ndarray], bootstrap.Statistic]


def summarise(
    joints_pred_mm: Sequence[np.ndarray],
    joints_true_mm: np.ndarray,
    visible: np.ndarray,
    mean_pose_mm: np.ndarray,
    block: np.ndarray,
    seed: int,
) -> dict[str, float | int | None]:
    """The flat metrics of one experiment; joints (N, J, 3) in mm, palm-relative, visible (N, J) bool.

    `joints_pred_mm`: of each training seed; `mean_pose_mm`: the baseline that looks at no input; `block` (N,): see
    `moments.blocks`. `..._all_joints_mm` counts hidden joints too, as the baseline's 2D->3D evaluation does. Raises
    InputError for what `metrics` refuses.
    """
    errors_mm = seeds_errors_mm(joints_pred_mm, joints_true_mm)
    every = np.ones_like(visible)
    mean_pose_epe_mm = metrics.mean_over_joints(metrics.joint_errors_mm(mean_pose_mm, joints_true_mm), visible)
    metrics.mean_over_joints(errors_mm[0], visible)  # every joint is visible somewhere
    measures: dict[str, Measure] = {
        "epe_mean_mm": lambda errors: bootstrap.mean(errors, visible, block),
        "epe_median_mm": lambda errors: bootstrap.median(errors, visible, block),
        "auc_20_50": lambda errors: bootstrap.mean(metrics.area_shares(errors, 20, 50), visible, block),
        "epe_mean_all_joints_mm": lambda errors: bootstrap.mean(errors, every, block),
        "epe_median_all_joints_mm": lambda errors: bootstrap.median(errors, every, block),
    }
    numbers = with_intervals(errors_mm, measures, block, seed)
    for name, thresholds_mm in (("auc_21_50", metrics.THRESHOLDS_21_50_MM), ("auc_0_50", metrics.THRESHOLDS_MM)):
        numbers[name] = over_seeds(
            errors_mm, lambda errors, at=thresholds_mm: metrics.auc_by_trapezoid(errors, visible, at)
        )
    return _flat(numbers, mean_pose_epe_mm, errors_mm, block)


def summarise_depth(
    joints_pred_mm: Sequence[np.ndarray],
    joints_true_mm: np.ndarray,
    mean_pose_mm: np.ndarray,
    block: np.ndarray,
    seed: int,
) -> dict[str, float | int | None]:
    """The flat metrics of one depth experiment; the evaluated joints (N, J, 3) in absolute mm, else as `summarise`.

    The public evaluation: no alignment, mean and median over all frames and joints at once, and the share of frames
    whose largest error is within a distance, `pcf_20`.
    """
    errors_mm = seeds_errors_mm(joints_pred_mm, joints_true_mm)
    every = np.ones(errors_mm[0].shape, bool)
    measures: dict[str, Measure] = {"epe_mean_mm": lambda errors: bootstrap.mean(errors, every, block)}
    numbers = with_intervals(errors_mm, measures, block, seed)
    numbers["epe_median_mm"] = over_seeds(errors_mm, np.median)
    if len(errors_mm) > 1:
        numbers["epe_median_mm_sd"] = float(np.std([np.median(errors) for errors in errors_mm], ddof=1))
    shares = over_seeds(errors_mm, lambda errors: metrics.pcf(errors, np.array(PCF_MM)))
    numbers |= {f"pcf_{threshold}": share for threshold, share in zip(PCF_MM, shares, strict=True)}
    mean_pose_epe_mm = float(metrics.joint_errors_mm(mean_pose_mm, joints_true_mm).mean())
    return _flat(numbers, mean_pose_epe_mm, errors_mm, block)


def seeds_errors_mm(joints_pred_mm: Sequence[np.ndarray], joints_true_mm: np.ndarray) -> list[np.ndarray]:
    """The errors (N, J) of the joints (N, J, 3) that the model of each seed predicts."""
    return [metrics.joint_errors_mm(pred_mm, joints_true_mm) for pred_mm in joints_pred_mm]


def with_intervals(
    errors_mm: Sequence[np.ndarray], measures: dict[str, Measure], block: np.ndarray, seed: int
) -> dict[str, float]:
    """Each measure of the errors (N, J) of each seed: name, name_low, name_high; with several seeds also name_sd."""
    statistics = [measure(errors) for measure in measures.values() for errors in errors_mm]
    seeds, blocks = len(errors_mm), bootstrap.count(block)
    values = bootstrap.measured(statistics, block).reshape(-1, seeds)
    draws = bootstrap.resampled(statistics, block, seed).reshape(len(measures), seeds, -1)
    numbers: dict[str, float] = {}
    for name, of_seeds, drawn in zip(measures, values, draws, strict=True):
        number = uncertainty.number(uncertainty.itself, [of_seeds], [drawn], blocks)
        low, high = number.interval()
        numbers |= {name: number.value, f"{name}_low": low, f"{name}_high": high}
        if seeds > 1:
            numbers[f"{name}_sd"] = number.deviations[0]
    return numbers


def over_seeds(errors_mm: Sequence[np.ndarray], of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean over seeds of `of` applied to each seed's errors (N, J): a number or an array."""
    return np.mean([of(errors) for errors in errors_mm], axis=0)


def previous_frame(joints_true_mm: np.ndarray, visible: np.ndarray, previous_row: np.ndarray) -> dict[str, float | int]:
    """For a video, the error of the true pose of the frame before, where it is known; nothing where it never is.

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

    Figures pick their samples by this rule, so that none shows the best or the worst by choice. Where there are too few
    frames each is taken once.
    """
    ranks = np.linspace(0.1, 0.9, count) * (len(errors_mm) - 1)
    return np.argsort(errors_mm, kind="stable")[np.unique(np.round(ranks).astype(int))]


def pck_table(
    joints_pred_mm: Sequence[np.ndarray], joints_true_mm: np.ndarray, visible: np.ndarray
) -> list[tuple[float, float]]:
    """Rows (threshold_mm, pck) at the protocol's 20 thresholds, 0 to 50 mm; the mean over seeds."""
    errors_mm = seeds_errors_mm(joints_pred_mm, joints_true_mm)
    curve = over_seeds(errors_mm, lambda errors: metrics.pck(errors, visible, metrics.THRESHOLDS_MM))
    return [(round(float(t), 4), round(float(p), 4)) for t, p in zip(metrics.THRESHOLDS_MM, curve, strict=True)]


def pcf_table(joints_pred_mm: Sequence[np.ndarray], joints_true_mm: np.ndarray) -> list[tuple[float, float]]:
    """Rows (threshold_mm, pcf) at 0, 1, ... 80 mm; the mean over seeds."""
    errors_mm = seeds_errors_mm(joints_pred_mm, joints_true_mm)
    curve = over_seeds(errors_mm, lambda errors: metrics.pcf(errors, np.arange(81.0)))
    return [(float(threshold), round(float(share), 4)) for threshold, share in enumerate(curve)]


def _flat(
    numbers: dict[str, float], mean_pose_epe_mm: float, errors_mm: Sequence[np.ndarray], block: np.ndarray
) -> dict[str, float | int | None]:
    """The numbers rounded, then the mean pose's error, the frames, the blocks of the intervals, and several seeds."""
    share = numbers["epe_mean_mm"] / mean_pose_epe_mm
    flat = _rounded(numbers | {"mean_pose_epe_mm": mean_pose_epe_mm, "epe_share_of_mean_pose": share})
    flat |= {"frames": len(block), "blocks": bootstrap.count(block)}
    return flat | ({"seeds": len(errors_mm)} if len(errors_mm) > 1 else {})


def _rounded(numbers: dict[str, float]) -> dict[str, float | None]:
    """To a ten-thousandth of a millimetre: beyond any meaning, and short enough to read in a diff. JSON has no NaN."""
    return {name: round(float(number), 4) if np.isfinite(number) else None for name, number in numbers.items()}
