"""The paper's claims on its latent space: cross-training mixes the modalities; what walks and samples are like."""

from collections.abc import Iterator

import numpy as np

from handvae.base.joints import SKELETON_OF, SKELETONS
from handvae.evaluation import bootstrap, metrics, uncertainty
from handvae.evaluation.uncertainty import Number
from handvae.report import comparison, mixing, tables
from handvae.report.claim_rows import (
    SEED,
    Claim,
    Row,
    above,
    absent,
    below,
    mean_number,
    ratio_number,
    row,
)
from handvae.report.latent_arrays import read_encodings, read_latent
from handvae.report.results import Result

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
        found = [read_encodings(cross, seed=seed) for seed in range(cross.seeds)]
        noise = np.random.default_rng(SEED).standard_normal(found[0][1].shape)
        block = _blocks(cross, found[0][0])
        means = mean_number([_apart(mu) for _, mu, _ in found], block)
        samples = mean_number([_apart(mu + np.exp(log_var / 2) * noise) for _, mu, log_var in found], block)
        yield row(MIXES, f"posterior means: {APART}", means, NEARER, cross.data)
        yield row(MIXES, f"posterior means: {APART}", means, LITTLE, cross.data)
        yield row(MIXES, f"a sample of each posterior: {APART}", samples, NEARER, cross.data)
        for place, name in enumerate(("RGB", "2D")):
            nearer = mean_number([100 * mixing.nearer_than_own(mu[place], mu[2]) for _, mu, _ in found], block)
            what = f"{name}: share of other samples' 3D joints that lie nearer than its own; 50 by chance"
            yield row(CLOSE, what, nearer, LITTLE, cross.data)
    if separate is None:
        yield absent(SEPARATES, "an experiment of variant separate")
    else:
        found = [read_encodings(separate, seed=seed) for seed in range(separate.seeds)]
        apart = mean_number([_apart(mu) for _, mu, _ in found], _blocks(separate, found[0][0]))
        yield row(SEPARATES, f"posterior means: {APART}", apart, above(50, "%"), separate.data)


def walk_rows(results: list[Result]) -> Iterator[Row]:
    """Of random walks between two test images: steps, agreement of 2D and 3D, lengths of bones."""
    cross = _of_variant(results, "cross")
    if cross is None:
        yield from (absent(claim, "an experiment of variant cross") for claim in (SMOOTH_WALK, CONSISTENT, PLAUSIBLE))
        return
    names = [f"random_walk_{name}" for name in ("joints_mm", "uv_px", "projected_px")]
    found = [read_latent(cross, *names, seed=seed) for seed in range(cross.seeds)]
    joints_mm, uv_px, projected_px = zip(*found, strict=True)
    walks = min(map(len, joints_mm))  # of every seed so many; no hand is in two of them
    each = np.arange(walks)
    data = f"{cross.data}; {walks} walks of {joints_mm[0].shape[1]} steps between random pairs"
    bones = SKELETONS[SKELETON_OF[cross.dataset]].bones
    uneven = mean_number([unevenness(one[:walks]) for one in joints_mm], each)
    yield row(SMOOTH_WALK, "decoded 3D: largest step; 1 on a straight line of poses", uneven, SMOOTH, data)
    off_px = [disagreement_px(*pair)[:walks] for pair in zip(uv_px, projected_px, strict=True)]
    size_px = [sizes_px(one)[:walks] for one in uv_px]
    what = "decoded 2D against decoded 3D projected into the crop: mean distance of joints, of the hand's size"
    in_px = f"{data}; {np.mean(off_px):.2f} px of {np.mean(size_px):.1f} px"
    percent = ratio_number([100 * one for one in off_px], size_px, each)
    yield row(CONSISTENT, what, percent, LITTLE, in_px)
    walked = [100 * bone_deviations(one[:walks], bones) for one in joints_mm]
    straight = [100 * bone_deviations(straightened(one[:walks]), bones) for one in joints_mm]
    what = "mean deviation of bone lengths from lengths linear between the decoded ends"
    yield row(PLAUSIBLE, what, mean_number(walked, each), LITTLE, data)
    what += ", minus that of a straight line of poses"
    less = [one - other for one, other in zip(walked, straight, strict=True)]
    yield row(PLAUSIBLE, what, mean_number(less, each), LESS, data)


def samples_rows(results: list[Result]) -> Iterator[Row]:
    """Spread of the posterior's samples against the model's error and against the error of the mean pose."""
    shown = [best for dataset in ("rhd", "stb") if (best := tables.best(results, (dataset, "rgb")))]
    if not shown:
        yield absent(CONFIDENT, "an experiment of RGB->3D with T+S+H")
    for best in shown:
        evaluated = list(SKELETONS[SKELETON_OF[best.dataset]].evaluated)
        true_mm, mean_pose_mm = read_latent(best, "/joints_true_mm", "/mean_pose_mm")
        spread_mm = [read_latent(best, "posterior_spread_mm", seed=seed)[0][:, evaluated] for seed in range(best.seeds)]
        still_mm = best.seeds * [metrics.joint_errors_mm(mean_pose_mm, true_mm)[:, evaluated]]
        frames = comparison.read_frames(best)
        against_error, against_pose = (_percent(spread_mm, mm, frames) for mm in (frames.errors_mm, still_mm))
        what = f"RGB->3D {best.dataset.upper()}, {best.experiment}: mean distance of samples to their mean"
        yield row(CONFIDENT, f"{what}, over the model's mean EPE", against_error, NEARER, best.data)
        yield row(CONFIDENT, f"{what}, over that of the mean pose", against_pose, LITTLE, best.data)


def unevenness(joints_mm: np.ndarray) -> np.ndarray:
    """Largest step of each walk over its mean step (P,); walks (P, T, J, 3), a step is its joints' mean way."""
    steps_mm = np.linalg.norm(np.diff(joints_mm, axis=1), axis=3).mean(axis=2)
    with np.errstate(invalid="ignore"):  # a walk that never moves is neither smooth nor rough
        return steps_mm.max(axis=1) / steps_mm.mean(axis=1)


def straightened(joints_mm: np.ndarray) -> np.ndarray:
    """The straight line of poses between the ends of each walk (P, T, J, 3)."""
    share = np.linspace(0, 1, joints_mm.shape[1])[:, None, None]
    return (1 - share) * joints_mm[:, :1] + share * joints_mm[:, -1:]


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


def _blocks(result: Result, rows: np.ndarray) -> np.ndarray:
    """The blocks (N,) of some rows of the test frames, numbered without gaps."""
    (block,) = read_latent(result, "/block")
    return np.unique(block[rows], return_inverse=True)[1]


def _apart(encodings: np.ndarray) -> np.ndarray:
    """The number of APART (N,) of each sample; encodings (M, N, D)."""
    return mixing.apart_percent(mixing.purities(encodings), mixing.purity_of_shuffled(encodings, SEED)[0]).mean(axis=0)


def _percent(a_mm: list[np.ndarray], b_mm: list[np.ndarray], frames: comparison.Frames) -> Number:
    """The mean over joints of a in percent of that of b, (N, J) of each seed, over the same frames."""
    made = [bootstrap.mean(of_seed, frames.visible, frames.block) for of_seed in (*a_mm, *b_mm)]
    values, draws = bootstrap.measured(made, frames.block), bootstrap.resampled(made, frames.block, SEED)
    percent = [100 * np.divide(*np.split(numbers, 2)) for numbers in (values, draws)]
    return uncertainty.number(uncertainty.itself, *([one] for one in percent), bootstrap.count(frames.block))
