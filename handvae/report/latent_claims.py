"""The paper's claims on its latent space: cross-training mixes the modalities; what walks and samples are like."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import metrics, statistics
from handvae.report import comparison, mixing, tables
from handvae.report.claim_rows import (
    SEED,
    Claim,
    Interval,
    Row,
    above,
    absent,
    below,
    interval_of_draws,
    interval_of_mean,
    interval_of_ratio,
    row,
)
from handvae.report.latent_arrays import read_encodings, read_latent
from handvae.report.tables import Result

LITTLE = below(10, "%")  # the paper gives no numbers
NEARER = below(50, "%")  # to the one than to the other
LESS = below(0, "percentage points")
SMOOTH = below(2, "times the mean step")
APART = "10-NN purity, 0 as if modalities were shuffled, 100 if each lies apart"

MIXES = Claim("cross-training mixes the modalities in the latent space", "Figures 1 and 8a, section 7.2")
SEPARATES = Claim("training separately does not", "Figure 8b, section 7.2")
CLOSE = Claim("similar poses are embedded close to each other whatever the modality", "section 1")
SMOOTH_WALK = Claim("walks through the latent space are smooth", "section 4.7, Figure 6")
CONSISTENT = Claim("the modalities decoded along a walk agree", "section 4.7, Figures 6 and 9")
PLAUSIBLE = Claim("poses along a walk are plausible: they keep their bone lengths", "section 4.7")
CONFIDENT = Claim("samples of a posterior vary little", "section 7.2, Figure 11")


def mixing_rows(results: list[Result]) -> Iterator[Row]:
    """Purity of the nearest neighbours, cross-trained and trained separately, and where a sample's own 3D pose lies."""
    cross, separate = _of_variant(results, "cross"), _of_variant(results, "separate")
    if cross is None:
        yield from (absent(claim, "an experiment of variant cross") for claim in (MIXES, CLOSE))
    else:
        _, mu, log_var = read_encodings(cross)
        noise = np.random.default_rng(SEED).standard_normal(mu.shape)
        means, samples = _apart(mu), _apart(mu + np.exp(log_var / 2) * noise)
        yield row(MIXES, f"posterior means: {APART}", means, NEARER, cross.data)
        yield row(MIXES, f"posterior means: {APART}", means, LITTLE, cross.data)
        yield row(MIXES, f"a sample of each posterior: {APART}", samples, NEARER, cross.data)
        for name, encodings in (("RGB", mu[0]), ("2D", mu[1])):
            nearer = interval_of_mean(100 * mixing.nearer_than_own(encodings, mu[2]))
            what = f"{name}: share of other samples' 3D joints that lie nearer than its own; 50 by chance"
            yield row(CLOSE, what, nearer, LITTLE, cross.data)
    if separate is None:
        yield absent(SEPARATES, "an experiment of variant separate")
    else:
        apart = _apart(read_encodings(separate)[1])
        yield row(SEPARATES, f"posterior means: {APART}", apart, above(50, "%"), separate.data)


def walk_rows(results: list[Result]) -> Iterator[Row]:
    """Of random walks between two test images: steps, agreement of 2D and 3D, lengths of bones."""
    cross = _of_variant(results, "cross")
    if cross is None:
        yield from (absent(claim, "an experiment of variant cross") for claim in (SMOOTH_WALK, CONSISTENT, PLAUSIBLE))
        return
    names = ("joints_mm", "uv_px", "projected_px")
    joints_mm, uv_px, projected_px = read_latent(cross, *(f"random_walk_{name}" for name in names))
    data = f"{cross.data}; {len(joints_mm)} walks of {joints_mm.shape[1]} steps between random pairs"
    bones = SKELETONS[SKELETON_OF[cross.dataset]].bones
    uneven = interval_of_mean(unevenness(joints_mm))
    yield row(SMOOTH_WALK, "decoded 3D: largest step; 1 on a straight line of poses", uneven, SMOOTH, data)
    off_px, size_px = disagreement_px(uv_px, projected_px), sizes_px(uv_px)
    what = "decoded 2D against decoded 3D projected into the crop: mean distance of joints, of the hand's size"
    in_px = f"{data}; {off_px.mean():.2f} px of {size_px.mean():.1f} px"
    yield row(CONSISTENT, what, interval_of_ratio(100 * off_px, size_px), LITTLE, in_px)
    share = np.linspace(0, 1, joints_mm.shape[1])[:, None, None]
    straight_mm = (1 - share) * joints_mm[:, :1] + share * joints_mm[:, -1:]
    walked, straight = (100 * bone_deviations(joints, bones) for joints in (joints_mm, straight_mm))
    what = "mean deviation of bone lengths from lengths linear between the decoded ends"
    yield row(PLAUSIBLE, what, interval_of_mean(walked), LITTLE, data)
    what += ", minus that of a straight line of poses"
    yield row(PLAUSIBLE, what, interval_of_mean(walked - straight), LESS, data)


def samples_rows(results: list[Result]) -> Iterator[Row]:
    """Spread of the posterior's samples against the model's error and against the error of the mean pose."""
    shown = [best for dataset in ("rhd", "stb") if (best := tables.best(results, (dataset, "rgb")))]
    if not shown:
        yield absent(CONFIDENT, "an experiment of RGB->3D with T+S+H")
    for best in shown:
        evaluated = list(SKELETONS[SKELETON_OF[best.dataset]].evaluated)
        spread_mm, true_mm, mean_pose_mm = read_latent(best, "posterior_spread_mm", "/joints_true_mm", "/mean_pose_mm")
        frames = comparison.read_frames(best)
        spread = replace(frames, errors_mm=spread_mm[:, evaluated].astype(np.float64))
        mean_pose = replace(frames, errors_mm=metrics.joint_errors_mm(mean_pose_mm, true_mm)[:, evaluated])
        what = f"RGB->3D {best.dataset.upper()}, {best.experiment}: mean distance of samples to their mean"
        yield row(CONFIDENT, f"{what}, over the model's mean EPE", _percent(spread, frames), NEARER, best.data)
        yield row(CONFIDENT, f"{what}, over that of the mean pose", _percent(spread, mean_pose), LITTLE, best.data)


def unevenness(joints_mm: np.ndarray) -> np.ndarray:
    """Largest step of each walk over its mean step (P,); walks (P, T, J, 3), a step is its joints' mean way."""
    steps_mm = np.linalg.norm(np.diff(joints_mm, axis=1), axis=3).mean(axis=2)
    with np.errstate(invalid="ignore"):  # a walk that never moves is neither smooth nor rough
        return steps_mm.max(axis=1) / steps_mm.mean(axis=1)


def disagreement_px(uv_px: np.ndarray, projected_px: np.ndarray) -> np.ndarray:
    """Mean distance (P,) of the joints in two pictures of each walk (P, T, J, 2)."""
    return np.linalg.norm(uv_px - projected_px, axis=3).mean(axis=(1, 2))


def sizes_px(uv_px: np.ndarray) -> np.ndarray:
    """The hand's size in each walk (P, T, J, 2), (P,): the longer side of the joints' bounding box, mean over steps."""
    return np.ptp(uv_px, axis=2).max(axis=2).mean(axis=1)


def bone_deviations(joints_mm: np.ndarray, bones: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Mean relative deviation (P,) of bone lengths within walks (P, T, J, 3) from lengths linear between their ends."""
    parents, children = np.array(bones).T
    lengths_mm = np.linalg.norm(joints_mm[:, :, children] - joints_mm[:, :, parents], axis=3)  # (P, T, B)
    share = np.linspace(0, 1, lengths_mm.shape[1])[:, None]
    expected_mm = (1 - share) * lengths_mm[:, :1] + share * lengths_mm[:, -1:]
    return np.abs(lengths_mm / expected_mm - 1)[:, 1:-1].mean(axis=(1, 2))


def _of_variant(results: list[Result], variant: str) -> Result | None:
    return next((result for result in results if result.variant == variant), None)


def _apart(encodings: np.ndarray) -> Interval:
    """Purity (M, N, D) as a share of the way from shuffled modalities (0 %) to modalities that lie apart (100 %)."""
    shuffled, _, _ = mixing.purity_of_shuffled(encodings, SEED)
    return interval_of_mean(100 * (mixing.purities(encodings).mean(axis=0) - shuffled) / (1 - shuffled))


def _percent(a: comparison.Frames, b: comparison.Frames) -> Interval:
    """The mean over joints of a in percent of that of b, over the same frames."""
    value = metrics.mean_over_joints(a.errors_mm, a.visible) / metrics.mean_over_joints(b.errors_mm, b.visible)
    draws = comparison.resampled([a, b], statistics.resampled_means)
    return interval_of_draws(100 * value, 100 * draws[0] / draws[1])
