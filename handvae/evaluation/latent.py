"""What the report shows of a model's latent space, computed while the model is at hand.

Encodings of the test hands and joints decoded from samples of their posteriors. For a model that decodes images and 2D
and 3D joints from images, walks between two test images. All is the group `latent` of a predictions file. Rules decide
which hands are shown, never the eye.
"""

import numpy as np
import torch

from handvae.base import geometry
from handvae.base.errors import InputError
from handvae.base.joints import ROOT, Skeleton
from handvae.base.sections import TARGET
from handvae.evaluation import metrics, predict
from handvae.evaluation.predict import Columns
from handvae.evaluation.statistics import evenly_ranked
from handvae.model import batches, vae
from handvae.model.batches import Split
from handvae.model.draws import unaugmented
from handvae.model.networks import LATENT
from handvae.model.parts import Part
from handvae.model.settings import Settings
from handvae.model.vae import CrossModalVAE

SAMPLES = 20  # of each posterior
SAMPLED_ROWS = 6  # whose samples are kept, for Figure 11
STEPS = 9  # of a walk, both ends included
RANDOM_WALKS = 100  # from which the claims are measured
SHOWN_WALKS = 3  # of them, with their images, for Figures 6 and 9
WALKED = tuple(("rgb", target) for target in ("rgb", "joints_2d", "joints_3d"))  # pairs that a walk decodes
WALK_SEED = 0  # the same walks for every seed of an experiment, so that they can be compared
POSTERIOR_STREAM, WALK_STREAM = 3, 4  # of an experiment's random numbers; training has 1, 2 and 5


@torch.inference_mode()
def latent_columns(
    model: CrossModalVAE, settings: Settings, scored: Part, split: Split, predictions: Columns
) -> Columns:
    """The latent columns of the N rows `scored`, loaded as `split`; `predictions`: from `predict.predict_split`.

    mu_<modality>, log_var_<modality> (N, 30) of every encoder. decoded_mm_<modality> (N, J, 3), the joints decoded from
    mu in the frame of joints_pred_mm, where it was trained to give joints. The columns of `posterior_columns`, and
    those of `walk_columns` where the model was trained on all pairs of WALKED.
    """
    errors_mm, seed = frame_errors_mm(predictions, settings.skeleton), settings.experiment.seed
    encodings = {modality: encode_split(model, modality, split) for modality in model.encoders}
    columns = {}
    for modality, (mu, log_var) in encodings.items():
        columns |= {f"mu_{modality}": mu.cpu().numpy(), f"log_var_{modality}": log_var.cpu().numpy()}
        if (modality, TARGET) in settings.pairs:
            columns[f"decoded_mm_{modality}"] = decoded_joints_mm(model, mu, split)
    columns |= posterior_columns(model, encodings[settings.encoded], split, errors_mm, seed)
    if set(WALKED) <= set(settings.pairs):
        pairs = random_pairs(predictions["side"], errors_mm, WALK_SEED)
        if not len(pairs):
            raise InputError(f"{scored.path}: expected two test hands of one side to walk between, found none")
        shown = shown_pairs(pairs, errors_mm, predictions["joints_true_mm"])
        columns |= walk_columns(model, encodings["rgb"][0], split, pairs, shown)
    return columns


def frame_errors_mm(predictions: Columns, skeleton: Skeleton) -> np.ndarray:
    """Mean error (N,) of a frame's evaluated and visible joints; NaN where none is visible."""
    joints = list(skeleton.evaluated)
    predicted_mm, true_mm, visible = (
        predictions[key][:, joints] for key in ("joints_pred_mm", "joints_true_mm", "visible")
    )
    return metrics.frame_errors_mm(metrics.joint_errors_mm(predicted_mm, true_mm), visible)


def encode_split(model: CrossModalVAE, modality: str, split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and log-variance (N, 30) of q(z|x) for every row of the split, unaugmented."""
    encodings = []
    for rows in predict.all_rows(split).split(predict.BATCH):
        inputs = batches.batch(split, unaugmented(rows), {modality})
        encodings.append(torch.stack(model.encode(modality, inputs[modality], inputs["side_onehot"])))
    mu, log_var = torch.cat(encodings, dim=1)
    return mu, log_var


def decoded_joints_mm(model: CrossModalVAE, mu: torch.Tensor, split: Split) -> np.ndarray:
    """Joints (N, J, 3) in mm decoded from one latent point (N, 30) for each row: see `to_mm` of the split."""
    return split.to_mm(predict.all_rows(split), model.decode(TARGET, mu).view(len(mu), -1, 3)).cpu().numpy()


def posterior_columns(
    model: CrossModalVAE, encoding: tuple[torch.Tensor, torch.Tensor], split: Split, errors_mm: np.ndarray, seed: int
) -> Columns:
    """Joints decoded from SAMPLES samples of each row's posterior, in the frame of joints_pred_mm.

    posterior_spread_mm (N, J): mean distance of a joint's samples to their mean. posterior_row (F,) and
    posterior_joints_mm (F, S, J, 3): the samples of the rows at evenly spaced ranks of `errors_mm` (N,).
    """
    mu, log_var = encoding
    noise = np.random.default_rng([seed, POSTERIOR_STREAM]).standard_normal((len(mu), SAMPLES, LATENT), np.float32)
    with_error = np.flatnonzero(np.isfinite(errors_mm))
    kept_rows = with_error[evenly_ranked(errors_mm[with_error], SAMPLED_ROWS)]
    spread_mm, kept = [], {}
    for chunk in torch.arange(len(mu)).split(predict.BATCH):
        rows = chunk.to(mu.device)
        z = vae.sample(mu[rows, None], log_var[rows, None], torch.from_numpy(noise[chunk]).to(mu.device))
        normalised = model.decode(TARGET, z.flatten(0, 1)).view(len(chunk) * SAMPLES, -1, 3)
        joints_mm = split.to_mm(rows.repeat_interleave(SAMPLES), normalised).cpu().numpy()
        joints_mm = joints_mm.reshape(len(chunk), SAMPLES, -1, 3)
        from_mean_mm = np.linalg.norm(joints_mm - joints_mm.mean(axis=1, keepdims=True), axis=3)
        spread_mm.append(from_mean_mm.mean(axis=1))
        kept |= {row: joints_mm[row - chunk[0]] for row in kept_rows if chunk[0] <= row <= chunk[-1]}
    return {
        "posterior_spread_mm": np.concatenate(spread_mm),
        "posterior_row": kept_rows,
        "posterior_joints_mm": np.stack([kept[row] for row in kept_rows]),
    }


def random_pairs(side: np.ndarray, errors_mm: np.ndarray, seed: int) -> np.ndarray:
    """At most RANDOM_WALKS pairs (P, 2) of test rows of one hand side, drawn at random; no row is in two of them.

    Only rows with an error: where no joint is visible the image says nothing.
    """
    random = np.random.default_rng([seed, WALK_STREAM])
    pairs = []
    for hand_side in np.unique(side):
        rows = random.permutation(np.flatnonzero((side == hand_side) & np.isfinite(errors_mm)))
        pairs.append(rows[: len(rows) // 2 * 2].reshape(-1, 2))
    return random.permutation(np.concatenate(pairs))[:RANDOM_WALKS]


def shown_pairs(pairs: np.ndarray, errors_mm: np.ndarray, joints_true_mm: np.ndarray) -> np.ndarray:
    """Indices into `pairs` (P, 2) of the walks that are shown: SHOWN_WALKS of them, or as many as there are.

    First the half of the pairs with the smaller errors, since a walk between two wrong poses shows nothing. Of it the
    half whose true poses lie further apart. Of that the pairs at evenly spaced ranks of the distance, furthest last.
    """
    better = np.argsort(errors_mm[pairs].mean(axis=1), kind="stable")[: -(-len(pairs) // 2)]
    first, last = joints_true_mm[pairs[better]].swapaxes(0, 1)
    distances_mm = np.linalg.norm(first - last, axis=2).mean(axis=1)
    further = np.argsort(distances_mm, kind="stable")[len(better) // 2 :]
    return better[further[evenly_ranked(distances_mm[further], SHOWN_WALKS)]]


def walk_columns(model: CrossModalVAE, mu: torch.Tensor, split: Split, pairs: np.ndarray, shown: np.ndarray) -> Columns:
    """Walks of STEPS steps, linear in the posterior's mean `mu` (N, 30) of the image, between the rows of `pairs`.

    random_walk_row (P, 2), random_walk_uv_px (P, T, J, 2) decoded 2D joints in the S x S crop, random_walk_joints_mm
    (P, T, J, 3) decoded 3D joints, palm-relative, random_walk_projected_px (P, T, J, 2) these projected into the crop.
    walk_* the same for the walks `shown`, with walk_rgb_u8 (W, T, S, S, 3), the decoded images as a screen can show
    them: back from [-0.5, 0.5], clipped to 0 to 255 and rounded.

    A point between two hands has no camera, palm and scale of its own: each step interpolates linearly between those of
    the two ends, where they are true. That is an approximation of ours, no part of the model.
    """
    rows = torch.from_numpy(pairs).to(mu.device)
    z = _between(mu[rows])  # (P, T, 30)
    joints_2d, joints_3d = (
        model.decode(modality, z.flatten(0, 1)).view(*z.shape[:2], -1, dimensions).cpu().numpy()
        for modality, dimensions in (("joints_2d", 2), ("joints_3d", 3))
    )
    cameras = split.warped_cameras(unaugmented(rows.flatten())).view(*rows.shape, 3, 3)
    cameras, palms_mm, scale_mm = (
        _between(ends).cpu().numpy() for ends in (cameras, split.joints_mm[rows][:, :, [ROOT]], split.scale_mm[rows])
    )
    joints_mm = joints_3d * scale_mm[..., None, None]
    columns = {
        "row": pairs,
        "uv_px": joints_2d * (split.crop_px / 2) + geometry.project(palms_mm, cameras),
        "joints_mm": joints_mm,
        "projected_px": geometry.project(joints_mm + palms_mm, cameras),
    }
    image = model.decode("rgb", z[torch.from_numpy(shown).to(z.device)].flatten(0, 1)).permute(0, 2, 3, 1)
    image_u8 = ((image + 0.5) * 255).clamp(0, 255).round().to(torch.uint8).cpu().numpy()
    return {
        **{f"random_walk_{key}": values for key, values in columns.items()},
        **{f"walk_{key}": values[shown] for key, values in columns.items()},
        "walk_rgb_u8": image_u8.reshape(len(shown), STEPS, *image_u8.shape[1:]),
    }


def _between(ends: torch.Tensor) -> torch.Tensor:
    """(P, 2, ...) -> (P, T, ...): STEPS points on the straight line between two ends, which it meets exactly."""
    share = torch.linspace(0, 1, STEPS, device=ends.device).view(-1, *[1] * (ends.dim() - 2))
    return torch.lerp(ends[:, :1], ends[:, 1:], share)
