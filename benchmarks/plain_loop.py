"""The training loop against the plain one: DataLoader, PNG files by PIL, torchvision's transforms a sample, fp32, Adam,
`loss.item()` at each step. Same set, same network, same loss; the pictures are the same ones (a test compares)."""

import itertools
import math
import time
from pathlib import Path

import numpy as np
import torch
import torchvision.transforms.v2.functional as F
from PIL import Image

from benchmarks import data, measure, training
from handvae.base import workers
from handvae.base.joints import ROOT
from handvae.base.sections import Augmentation
from handvae.datasets import rhd
from handvae.model import batches, parts
from handvae.model import training as own
from handvae.model.draws import BLOCK
from handvae.model.settings import Settings, settings_of
from handvae.model.vae import CrossModalVAE, kl_to_standard_normal, sample
from handvae.preprocessing import preprocess, store

EXPERIMENT = "rhd-rgb-v1"
SIZES = {"rhd": {"training": 600, "evaluation": 20}}
ROUNDS, BLOCKS = 4, 3  # of BLOCKS x BLOCK steps
# DataLoader's workers, torch's threads (0: one a core, as it takes by itself), whether the crops are ready as PNG files
LOOPS = {
    "files of the set, no workers": (0, 0, False),
    "files of the set, no workers, one thread as ours": (0, 1, False),
    "files of the set, 2 workers": (2, 1, False),  # which leave no core for a second thread
    "crops made ready as PNG, 2 workers": (2, 1, True),
}
HELD_TO = {"cpu": "", "cuda": "10"}


def rows(folder: Path, profile: str) -> list[measure.Row]:
    workspace = data.workspace(folder / "plain_loop", profile, SIZES)
    data.prepared(workspace, "rhd")
    (rates, device), peak_mb = measure.apart(compare, workspace, LOOPS, ROUNDS, BLOCKS)
    ours = rates.pop("ours")
    what, rate = f"training, {EXPERIMENT}, one {'thread' if device == 'cpu' else 'GPU'}", measure.spread(ours).text(0)
    rows = []
    for name, theirs in rates.items():
        against = f"plain loop, {name}: {measure.spread(theirs).text(0)} images/s"
        ratio = measure.ratios(ours, theirs)
        rows.append(measure.Row(what, f"{rate} images/s", against, ratio, HELD_TO[device], peak_mb))
    return rows


def compare(
    workspace: Path, loops: dict[str, tuple[int, int, bool]], rounds: int, blocks: int
) -> tuple[dict[str, list[float]], str]:
    """Images/s of our loop and of each of `loops`, round by round, and the type of device."""
    device = training.prepare_process()
    settings = training.endless(settings_of(data.loaded(workspace), EXPERIMENT))
    split = own_split(workspace, settings, device)
    run = own.Run(settings, device)

    def ours() -> float:
        torch.set_num_threads(1)
        return training.loop_rate(run, split, blocks)

    sides = {"ours": ours}
    for name, (processes, threads, ready) in loops.items():
        hands = Hands(workspace, settings, ready)
        sides[name] = PlainLoop(hands, settings, processes, threads or workers.cores(), blocks, device).rate
    return measure.alternating(sides, rounds), device.type


def own_split(workspace: Path, settings: Settings, device: torch.device) -> batches.Split:
    path = workspace / "data" / "processed" / "rhd.h5"
    return batches.load_split([parts.whole(path, ["train"])], True, settings.joint_unit_mm, device)


class Hands(torch.utils.data.Dataset):
    """RHD's training hands: (picture (3, S, S), hand side (2,), joints (63,)), drawn and warped when asked for."""

    def __init__(self, workspace: Path, settings: Settings, ready: bool):
        path = workspace / "data" / "processed" / "rhd.h5"
        keys = ("joints_mm", "scale_bone_mm", "side", "name", "camera")
        self.labels = store.read(path, ["train"], keys)
        self.augmentation, self.crop_px = settings.augmentation, settings.crop_px
        self.context_px = store.attributes(path)["context_px"]
        self.unit_mm = settings.joint_unit_mm
        self.mirrored = mirrored(self.labels["side"], settings.augmentation)
        raw = workspace / "data" / "raw" / "rhd"
        indices = [int(name.split("/")[1].split()[0]) for name in self.labels["name"]]
        annotations = rhd.read_annotations(raw, "training")
        self.files = [raw / "training" / "color" / f"{index:05d}.png" for index in indices]
        cameras = np.stack([annotations[index].K for index in indices])
        self.transforms = self.labels["camera"] @ np.linalg.inv(cameras)  # image pixels to those of the context crop
        self.ready = workspace / "crops" if ready else None
        if ready:
            self.ready.mkdir(exist_ok=True)
            for row in range(len(self)):
                self.cut(row).save(self.ready / f"{row}.png", compress_level=1)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        picture = Image.open(self.ready / f"{row}.png") if self.ready else self.cut(row)
        rotation_rad, shift, scale, flip = draw(self.augmentation, bool(self.mirrored[row]))
        side = torch.eye(2)[self.labels["side"][row] ^ flip]
        scale_mm = self.unit_mm or self.labels["scale_bone_mm"][row]
        joints = warped_joints(self.labels["joints_mm"][row] / scale_mm, rotation_rad, flip)
        return warped_picture(picture, rotation_rad, shift, scale, flip, self.crop_px), side, joints

    def cut(self, row: int) -> Image.Image:
        """The context crop, cut from the set's picture."""
        picture = np.asarray(Image.open(self.files[row]))
        return Image.fromarray(preprocess.resample(picture, self.transforms[row], self.context_px))


def mirrored(side: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Which hands (N,) are mirrored half of the time; see `batches.StoredHands.mirrored`."""
    both = augmentation.flip == "two_sided" and len(np.unique(side)) == 2
    return np.full(len(side), both or augmentation.flip == "always")


def draw(augmentation: Augmentation, may_flip: bool) -> tuple[float, tuple[float, float], float, bool]:
    """Rotation in radians, shift in the crop's sides, zoom, and whether the hand is mirrored."""
    uniform = torch.rand(5).tolist()
    low, high = augmentation.scale
    return (
        (2 * uniform[0] - 1) * math.radians(augmentation.rotation_deg),
        ((2 * uniform[1] - 1) * augmentation.shift, (2 * uniform[2] - 1) * augmentation.shift),
        low + (high - low) * uniform[3],
        may_flip and uniform[4] < 0.5,
    )


def warped_picture(
    context: Image.Image, rotation_rad: float, shift: tuple[float, float], scale: float, flip: bool, crop_px: int
) -> torch.Tensor:
    """The (3, S, S) network crop in [-0.5, 0.5] of a context crop: what `ColourSplit.inputs` makes of a whole batch."""
    cos, sin = math.cos(rotation_rad) * scale, math.sin(rotation_rad) * scale
    right, down = -shift[0] * crop_px * (-1 if flip else 1), -shift[1] * crop_px
    picture = F.horizontal_flip(context) if flip else context
    moved = [cos * right - sin * down, sin * right + cos * down]
    picture = F.affine(
        picture, math.degrees(rotation_rad), moved, scale, [0.0, 0.0], F.InterpolationMode.BILINEAR, [preprocess.GREY]
    )
    return F.to_dtype(F.to_image(F.center_crop(picture, [crop_px])), torch.float32, scale=True) - 0.5


def warped_joints(joints: np.ndarray, rotation_rad: float, flip: bool) -> torch.Tensor:
    """The palm-relative (3 J,) joints of the warped view."""
    cos, sin, mirror = math.cos(rotation_rad), math.sin(rotation_rad), -1.0 if flip else 1.0
    turn = np.array([[cos * mirror, -sin, 0], [sin * mirror, cos, 0], [0, 0, 1]], np.float32)
    return torch.from_numpy(((joints - joints[ROOT]) @ turn.T).astype(np.float32).ravel())


class PlainLoop:
    """The usual first version: a DataLoader, a model, Adam."""

    def __init__(
        self, hands: Hands, settings: Settings, processes: int, threads: int, blocks: int, device: torch.device
    ):
        self.settings, self.threads, self.blocks, self.device = settings, threads, blocks, device
        self.model = CrossModalVAE(settings.architecture, settings.experiment.seed).to(device).train()
        self.optimiser = torch.optim.Adam(self.model.parameters(), settings.training.learning_rate)
        size = settings.training.batch_size
        loader = torch.utils.data.DataLoader(
            hands, size, shuffle=True, drop_last=True, num_workers=processes, persistent_workers=processes > 0
        )
        self.batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def rate(self) -> float:
        """Images/s of as many steps as a round of ours has."""
        torch.set_num_threads(self.threads)
        start, steps = time.perf_counter(), self.blocks * BLOCK
        for picture, side, joints in itertools.islice(self.batches, steps):
            self.step(picture.to(self.device), side.to(self.device), joints.to(self.device))
        return steps * self.settings.training.batch_size / (time.perf_counter() - start)

    def step(self, picture: torch.Tensor, side: torch.Tensor, joints: torch.Tensor) -> float:
        mu, log_var = self.model.encode("rgb", picture, side)
        decoded = self.model.decode("joints_3d", sample(mu, log_var, torch.randn_like(mu)))
        error = (decoded - joints).square().sum(dim=1).mean()
        loss = error + self.settings.loss.kl_weight * kl_to_standard_normal(mu, log_var).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.item()
