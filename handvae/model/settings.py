"""The settings of one run: an experiment of params.yaml merged with its profile, as saved in a model folder."""

import dataclasses
import json
from dataclasses import dataclass

from handvae.base.joints import SKELETON_OF, SKELETONS, Skeleton
from handvae.base.params import Params
from handvae.base.sections import HEATMAPS, TARGET, Augmentation, Experiment, Loss, Training
from handvae.model import methods
from handvae.model.vae import IMAGE_CHANNELS, Architecture, Pair


@dataclass(frozen=True)
class Settings:
    """Everything that decides a run, except its data. Saved with the model, so that params.yaml is not needed later."""

    name: str
    experiment: Experiment
    profile: str
    pairs: tuple[Pair, ...]
    crop_px: int
    width: int
    decoder_width: int
    unscaled_unit_mm: float
    loss: Loss
    augmentation: Augmentation
    training: Training

    @property
    def joint_unit_mm(self) -> float | None:
        """Joints are divided by it; None: by the hand's scale bone (invariance S). Depth: by half the cube's side."""
        return None if self.experiment.scale_invariant else self.unscaled_unit_mm

    @property
    def architecture(self) -> Architecture:
        experiment, joints = self.experiment, len(self.skeleton)
        sizes = self.crop_px, self.width, self.decoder_width
        return Architecture(self.pairs, *sizes, experiment.hand_side_given, joints, experiment.encoder)

    @property
    def skeleton(self) -> Skeleton:
        return SKELETONS[SKELETON_OF[self.experiment.datasets[0]]]

    @property
    def modalities(self) -> set[str]:
        return {modality for pair in self.pairs for modality in pair}

    @property
    def uses_images(self) -> bool:
        return bool(self.modalities & set(IMAGE_CHANNELS))

    @property
    def encoded(self) -> str:
        """The modality whose encoding is decoded to the joints that are scored: the input, or the joints themselves in
        a model that reconstructs each modality on its own. Of the rival: what it predicts from."""
        source = self.experiment.input
        if not self.is_vae:
            return source if source in self.modalities else HEATMAPS
        return source if (source, TARGET) in self.pairs else TARGET

    @property
    def is_vae(self) -> bool:
        """Whether it is a VAE, with encoders and a latent space, or the rival: handvae.model.zb17."""
        return methods.is_vae(self.pairs)

    def needs_labels(self, pair: Pair) -> bool:
        """Whether a pair needs more than the input: section 4.6 trains i->i on the unlabelled samples too."""
        return pair != (self.experiment.input, self.experiment.input)

    def as_dict(self) -> dict:
        return json.loads(json.dumps(dataclasses.asdict(self)))


def settings_of(params: Params, name: str, seed_number: int = 0) -> Settings:
    """The settings of one experiment of params.yaml, for its `seed_number`-th model where it has several."""
    experiment, profile = params.experiment(name), params.profile
    experiment = dataclasses.replace(experiment, seed=experiment.seed + seed_number)
    pairs, training = params.pairs(experiment), params.training(experiment)
    if not methods.is_vae(pairs):
        # Muon's steps are of one size, which only layers that are normalised bear; the rival's are not
        training = dataclasses.replace(training, optimiser="adam")
    return Settings(
        name,
        experiment,
        params.profile_name,
        tuple(pairs),
        profile.crop_px,
        profile.encoder_width,
        profile.decoder_width,
        profile.unscaled_unit_mm,
        params.recipes[experiment.recipe],
        profile.augmentation[experiment.input],
        training,
    )


def settings_from_dict(tree: dict) -> Settings:
    """The inverse of Settings.as_dict."""
    parts = {"experiment": Experiment, "loss": Loss, "augmentation": Augmentation, "training": Training}
    values = {key: parts[key](**value) if key in parts else value for key, value in tree.items()}
    return Settings(**{**values, "pairs": tuple((source, target) for source, target in tree["pairs"])})
