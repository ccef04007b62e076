"""One training by MultiVae, in the environment that benchmarks.multivae makes. Prints its results as JSON.

python -m benchmarks.multivae_run '{"workspace": ..., "epochs": ..., "seed": ..., "threads": ..., "workers": ...,
"augmented": ...}'
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path

import torch
from multivae.data.datasets.base import DatasetOutput, MultimodalBaseDataset
from multivae.models import CVAE, CVAEConfig
from multivae.models.base import ModelOutput
from multivae.models.nn.base_architectures import BaseConditionalDecoder, BaseJointEncoder
from multivae.trainers import BaseTrainer, BaseTrainerConfig
from PIL import Image

from benchmarks import multivae, plain_loop, training
from handvae.model import batches, networks
from handvae.model.draws import unaugmented
from handvae.model.settings import Settings
from handvae.model.vae import CrossModalVAE


class Posterior(BaseJointEncoder):
    """Our encoder of pictures as MultiVae wants it."""

    def __init__(self, network: networks.Encoder):
        super().__init__()
        self.latent_dim, self.network = networks.LATENT, network

    def forward(self, x: dict[str, torch.Tensor]) -> ModelOutput:
        mu, log_var = self.network(x["rgb"], x["side"])
        return ModelOutput(embedding=mu, log_covariance=log_var)


class Decoder(BaseConditionalDecoder):
    """Our decoder of joints as MultiVae wants it; it ignores what it could be conditioned on."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.latent_dim, self.network = networks.LATENT, network

    def forward(self, z: torch.Tensor, cond_mods: dict[str, torch.Tensor]) -> ModelOutput:
        return ModelOutput(reconstruction=self.network(z))


class Augmented(MultimodalBaseDataset):
    """The crops in memory, warped one by one as they are asked for; the labels follow."""

    def __init__(self, split: batches.Split, settings: Settings):
        self.split, self.settings = split, settings
        self.pictures, self.side = split.images.numpy(), split.side.numpy()
        self.joints = (split.joints_mm / split.scale_mm[:, None, None]).numpy()
        self.mirrored = plain_loop.mirrored(self.side, settings.augmentation)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, row: int) -> DatasetOutput:
        drawn = plain_loop.draw(self.settings.augmentation, bool(self.mirrored[row]))
        rotation_rad, _, _, flip = drawn
        picture = plain_loop.warped_picture(Image.fromarray(self.pictures[row]), *drawn, self.settings.crop_px)
        side = torch.eye(2)[self.side[row] ^ flip]
        joints = plain_loop.warped_joints(self.joints[row], rotation_rad, flip)
        return DatasetOutput(data={"joints_3d": joints, "rgb": picture, "side": side})


def plain_dataset(split: batches.Split) -> MultimodalBaseDataset:
    """The same crops unwarped, made once."""
    made = batches.batch(split, unaugmented(torch.arange(len(split))), {"rgb", "joints_3d"})
    return MultimodalBaseDataset(
        {"joints_3d": made["joints_3d"], "rgb": made["rgb"].contiguous(), "side": made["side_onehot"]}
    )


def model_of(network: CrossModalVAE, settings: Settings) -> CVAE:
    """MultiVae's CVAE around our networks, with our loss."""
    config = CVAEConfig(
        conditioning_modalities=["rgb", "side"],
        main_modality="joints_3d",
        latent_dim=networks.LATENT,
        beta=settings.loss.kl_weight,
        decoder_dist="normal",
        decoder_dist_params={"scale": math.sqrt(0.5)},  # -log p is then the squared error and a constant
    )
    return CVAE(config, Posterior(network.encoders["rgb"]), Decoder(network.decoders["joints_3d"]))


def main(asked: dict) -> dict[str, float]:
    torch.set_num_threads(asked["threads"])
    workspace = Path(asked["workspace"])
    settings, trained_on = multivae.settings_for(workspace, asked["epochs"], asked["seed"])
    split = batches.load_split(trained_on, True, settings.joint_unit_mm, torch.device("cpu"))
    network = CrossModalVAE(settings.architecture, settings.experiment.seed)
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=settings.training.batch_size,
            num_epochs=asked["epochs"],
            train_dataloader_num_workers=asked["workers"],
            learning_rate=multivae.ADAM_RATE,
            scheduler_cls="CosineAnnealingLR",
            scheduler_params={"T_max": asked["epochs"]},
            seed=asked["seed"],
            drop_last=True,
        )
        dataset = Augmented(split, settings) if asked["augmented"] else plain_dataset(split)
        trainer = BaseTrainer(model_of(network, settings), dataset, training_config=config)
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
    trained = CrossModalVAE(settings.architecture, settings.experiment.seed)
    trained.encoders["rgb"].load_state_dict(trainer.model.encoder.network.state_dict())
    trained.decoders["joints_3d"].load_state_dict(trainer.model.decoder.network.state_dict())
    return multivae.result(workspace, settings, trained, seconds)


if __name__ == "__main__":
    training.devices.keep_freed_memory()
    print(json.dumps(main(json.loads(sys.argv[1]))))
