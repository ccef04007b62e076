"""The declaration of params.yaml's sections: every key with its type and range."""

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from handvae.base.checked import Range
from handvae.base.dataset_params import DATASETS, INPUTS, JOINTS_2D, Count, NonNegative, NonNegativeInt, Positive, Share

TARGET = "joints_3d"
MODALITIES = (*INPUTS, TARGET)
JOINTS = (JOINTS_2D, TARGET)  # the modalities that are no images
BOTH = "rhd+stb"  # an experiment's `dataset` that is trained on two sets and tested on each
OWN = "experiment"  # the name under which the top-level experiment is trained and evaluated

Seed = Annotated[int, Range("a whole number from 0 to 2^63 - 1, as torch takes them", lambda seed: 0 <= seed < 2**63)]
DatasetName = Literal[*DATASETS, BOTH]
RowName = Annotated[
    str,
    Range(
        "names of letters, digits, - _ and ., no - or . first and no _pck last, since they name files and DVC's stages",
        lambda name: re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) and not name.endswith("_pck"),
    ),
    Range(f"names other than the top-level experiment's, {OWN}", lambda name: name != OWN),
]
HEATMAPS = "heatmaps"  # a target of images: handvae.model.spatial
_SIDES = ("i", "t", *MODALITIES)
_PAIRS = {f"{source}->{target}" for source in (*_SIDES, HEATMAPS) for target in (*_SIDES, HEATMAPS)}
Pair = Annotated[str, Range(f"a->b with a and b of {', '.join(_SIDES)}", lambda pair: pair in _PAIRS)]
_WIDTHS = "a multiple of 16 (oneDNN's 1 x 1 convolutions of fewer channels write outside their memory on CPUs)"
EncoderWidth = Annotated[int, Range(_WIDTHS, lambda width: width > 0 and width % 16 == 0)]
Variant = Annotated[list[Pair], Range("one or more pairs, each once", lambda pairs: len(pairs) == len(set(pairs)) > 0)]
Zoom = Annotated[
    list[float], Range("[low, high] with 0 < low <= high", lambda zoom: len(zoom) == 2 and 0 < zoom[0] <= zoom[1])
]


@dataclass(frozen=True)
class Experiment:
    dataset: DatasetName
    input: Literal[*INPUTS]
    variant: int | str
    invariances: Literal["T+S+H", "T+S", "T+H", "T"]
    encoder: Literal["resnet18", "resnet50"]
    seed: Seed
    test_subject: str | None
    label_fraction: Annotated[float, Range("more than 0 and at most 1", lambda share: 0 < share <= 1)]
    validation: Annotated[float, Range("at least 0 and less than 1", lambda share: 0 <= share < 1)]
    recipe: str
    balance: Literal["proportional", "equal"]

    @property
    def datasets(self) -> list[str]:
        """The sets that are trained on together. Each is tested on apart."""
        return self.dataset.split("+")

    @property
    def scale_invariant(self) -> bool:
        return "S" in self.invariances

    @property
    def hand_side_given(self) -> bool:
        return "H" in self.invariances


@dataclass(frozen=True)
class Row(Experiment):
    """An experiment of the grid as params.yaml has it: the settings of its models, and how many they are."""

    repeated: bool  # has as many models as the profile's repeated_seeds says

    @property
    def experiment(self) -> Experiment:
        return Experiment(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Experiment)})


@dataclass(frozen=True)
class Source:
    """Where a set comes from, and how it is read.

    `protocol`: an instance of the set's class in DATASETS. `references`, of a depth set: other methods' published
    prediction files by name, and `labels`, their truth.
    """

    source: str | list[str]
    sha256: str | list[str | None] | None
    seed: Seed  # of the synthetic hands
    protocol: typing.Any
    references: dict[str, str]


@dataclass(frozen=True)
class Loss:
    reduction: Literal["sum", "mean", "laplace"]
    modality_weights: TypedDict("ModalityWeights", dict.fromkeys(MODALITIES, NonNegative))
    kl_weight: Positive
    kl_weight_start: Positive
    kl_warmup_share: Share
    kl_normaliser: Literal["elbo", "elements", "input_width"]


@dataclass(frozen=True)
class Augmentation:
    rotation_deg: NonNegative
    shift: NonNegative
    scale: Zoom
    flip: Literal["always", "two_sided", "never"]


@dataclass(frozen=True)
class Training:
    steps: Count
    batch_size: Annotated[int, Range("at least 2, for batch normalisation", lambda size: size >= 2)]
    joint_steps: bool  # one step for all pairs that see the same samples; else one per pair in turn, as Algorithm 1
    optimiser: Literal["adam", "muon"]
    learning_rate: Positive  # Adam's
    muon_learning_rate: Positive
    warmup_steps: NonNegativeInt
    schedule: Literal["constant", "linear_end"]
    mixed_precision: bool
    compile: bool


@dataclass(frozen=True)
class TurnedCrops:
    """Averaging at test time: the crop as it is, and turned in the image plane."""

    rotation_deg: list[float]
    variants: list[str]  # that are scored so, beside their plain predictions


@dataclass(frozen=True)
class Evaluation:
    block_frames: Count  # of a video, drawn together in intervals and tests
    turned_crops: TurnedCrops


@dataclass(frozen=True)
class Profile:
    synthetic: TypedDict("Rendered", {name: TypedDict(name, dataset.rendered) for name, dataset in DATASETS.items()})
    # the encoder halves five times and needs 2 x 2 features, the decoder doubles from 4 x 4
    crop_px: Annotated[int, Range("a power of two, at least 64", lambda px: px >= 64 and px.bit_count() == 1)]
    context: Annotated[float, Range("a number >= 1", lambda side: side >= 1)]
    encoder_width: EncoderWidth
    decoder_width: Count
    needs_gpu: bool  # training on a CPU must be asked for
    repeated_seeds: Count  # models of a row that is repeated
    unscaled_unit_mm: Positive
    augmentation: TypedDict("AugmentationByInput", dict.fromkeys(INPUTS, Augmentation))
    training: TypedDict("TrainingByInput", dict.fromkeys(INPUTS, Training))
    steps_share: dict[str, Positive]  # of the training steps, by dataset and by variant; 1 of those not named

    def __post_init__(self):
        halvings = self.crop_px.bit_length() - 4  # of the decoder's 4 x decoder_width channels
        least = max(1, 2**halvings // 4)
        if self.decoder_width < least:
            raise ValueError(
                f"decoder_width: expected at least {least} at crop_px {self.crop_px}, which halves its channels "
                f"{halvings} times, found {self.decoder_width}"
            )
