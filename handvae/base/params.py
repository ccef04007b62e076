"""params.yaml as checked dataclasses. A missing, unknown or mistyped key ends in one line that names it.

No defaults live in code: what is not in params.yaml does not exist.
"""

import dataclasses
import os
import re
import typing
from dataclasses import dataclass
from pathlib import Path

import yaml

from handvae.base import encoding, yaml_text
from handvae.base.checked import check_keys, convert
from handvae.base.errors import InputError

INPUTS = ("rgb", "depth", "joints_2d")
TARGET = "joints_3d"
MODALITIES = (*INPUTS, TARGET)
SPLITS = ("training", "evaluation")
BOTH = "rhd+stb"  # an experiment's `dataset` that is trained on two sets and tested on each
MSRA_SUBJECTS = tuple(f"P{number}" for number in range(9))
_ROW_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
OWN = "experiment"  # the name under which the top-level experiment is trained and evaluated


@dataclass(frozen=True)
class Experiment:
    dataset: str
    input: typing.Literal["rgb", "depth", "joints_2d"]
    variant: int | str
    invariances: typing.Literal["T+S+H", "T+S", "T+H", "T"]
    encoder: typing.Literal["resnet18", "resnet50"]
    seed: int
    test_subject: str | None
    label_fraction: float
    validation: float
    recipe: str
    balance: typing.Literal["proportional", "equal"]

    @property
    def datasets(self) -> list[str]:
        """The sets that are trained on together; each is tested on apart."""
        return self.dataset.split("+")

    @property
    def scale_invariant(self) -> bool:
        return "S" in self.invariances

    @property
    def hand_side_given(self) -> bool:
        return "H" in self.invariances


@dataclass(frozen=True)
class Row(Experiment):
    """An experiment of the grid as params.yaml has it, with what is no setting of its models."""

    repeated: bool  # has as many models as the profile's repeated_seeds says

    @property
    def experiment(self) -> Experiment:
        return Experiment(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Experiment)})


@dataclass(frozen=True)
class RhdProtocol:
    hands: typing.Literal["dominant", "both"]
    without_visible_joint: dict[str, list[int]]
    doubtful_labels: float


@dataclass(frozen=True)
class StbProtocol:
    training: list[str]
    evaluation: list[str]
    views: list[typing.Literal["left", "right"]]
    images: bool
    doubtful_labels: float


@dataclass(frozen=True)
class DepthProtocol:
    centre: typing.Literal["joint", "mass"]
    doubtful_labels: float


@dataclass(frozen=True)
class IcvlProtocol(DepthProtocol):
    rotated_copies: bool


PROTOCOLS = {
    "rhd": RhdProtocol,
    "stb": StbProtocol,
    "icvl": IcvlProtocol,
    "nyu": DepthProtocol,
    "msra": DepthProtocol,
}
# what profiles.<name>.synthetic says of the sets that are rendered
SYNTHETIC = {
    "rhd": ("training", "evaluation", "image_px"),
    "stb": ("sequence", "background_frames"),
    "icvl": ("training", "evaluation"),
    "nyu": ("training", "evaluation"),
    "msra": ("gesture",),
}


@dataclass(frozen=True)
class Source:
    """Where a set comes from, and how it is read: `protocol`, of the set's class in PROTOCOLS.

    `references`: of a depth set, other methods' published prediction files by name, and `labels`, their truth.
    """

    source: str | list[str]
    sha256: str | list[str | None] | None
    seed: int  # of the synthetic hands
    protocol: typing.Any
    references: dict[str, str]


@dataclass(frozen=True)
class Loss:
    reduction: typing.Literal["sum", "mean"]
    modality_weights: dict[str, float]
    kl_weight: float
    kl_weight_start: float
    kl_warmup_share: float
    kl_normaliser: typing.Literal["elbo", "elements", "input_width"]


@dataclass(frozen=True)
class Augmentation:
    rotation_deg: float
    shift: float
    scale: list[float]
    flip: typing.Literal["always", "two_sided", "never"]


@dataclass(frozen=True)
class Training:
    steps: int
    batch_size: int
    joint_steps: bool  # one step for all pairs that see the same samples; else one a pair in turn, as Algorithm 1
    optimiser: typing.Literal["adam", "muon"]
    learning_rate: float  # Adam's
    muon_learning_rate: float
    warmup_steps: int
    schedule: typing.Literal["constant", "linear_end"]
    mixed_precision: bool
    compile: bool


@dataclass(frozen=True)
class Evaluation:
    block_frames: int  # of a video, drawn together in intervals and tests


@dataclass(frozen=True)
class Profile:
    synthetic: dict[str, dict[str, int | None]]
    crop_px: int
    context: float
    encoder_width: int
    decoder_width: int
    needs_gpu: bool  # training on a CPU must be asked for
    repeated_seeds: int  # models of a row that is repeated
    unscaled_unit_mm: float
    synthetic_block_frames: int
    augmentation: dict[str, Augmentation]
    training: dict[str, Training]
    steps_share: dict[str, float]  # of the training steps, by dataset; 1 of those not named


@dataclass(frozen=True)
class Params:
    own: Experiment
    profile_name: str
    profile: Profile
    device: typing.Literal["auto", "cpu", "cuda"]
    resident: typing.Literal["auto", "device", "host"]
    data: dict[str, Source]
    variants: dict[str, list[str]]
    recipes: dict[str, Loss]
    evaluation: Evaluation
    seeds: int  # models of every row of the grid
    experiments: dict[str, Experiment]
    repeated: frozenset[str]  # the rows that have profile.repeated_seeds models, if these are more than seeds

    def experiment(self, name: str) -> Experiment:
        """The grid's experiment of that name, or the top-level one for `params.OWN`."""
        if name == OWN:
            return self.own
        if name not in self.experiments:
            raise InputError(f"params.yaml: no experiment '{name}' under experiments: {', '.join(self.experiments)}")
        return self.experiments[name]

    def models_of(self, name: str) -> int:
        """How many models an experiment has, alike but for their seed: one of `params.OWN`."""
        if name == OWN:
            return 1
        return max(self.seeds, self.profile.repeated_seeds if name in self.repeated else 1)

    def training(self, experiment: Experiment) -> Training:
        """How an experiment is trained: as the profile says of its input, for its dataset's share of the steps."""
        training = self.profile.training[experiment.input]
        steps = round(training.steps * self.profile.steps_share.get(experiment.dataset, 1.0))
        return dataclasses.replace(training, steps=max(1, steps))

    def block_frames(self, synthetic: bool) -> int:
        """Frames of a video that are drawn together; synthetic videos may run faster than real ones."""
        return self.profile.synthetic_block_frames if synthetic else self.evaluation.block_frames

    def pairs(self, experiment: Experiment) -> list[tuple[str, str]]:
        """The (input modality, target modality) pairs that Algorithm 1 goes through, in order."""
        modality = {"i": experiment.input, "t": TARGET} | {name: name for name in MODALITIES}
        pairs = [tuple(pair.split("->")) for pair in self.variants[str(experiment.variant)]]
        return [(modality[source], modality[target]) for source, target in pairs]


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check params.yaml. Raises InputError naming file and key."""
    try:
        tree = yaml_text.load(encoding.decoded(Path(path), Path(path).read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    own_keys = [field.name for field in dataclasses.fields(Experiment)]
    sections = {
        "profile": str,
        "device": typing.Literal["auto", "cpu", "cuda"],
        "resident": typing.Literal["auto", "device", "host"],
        "data": dict[str, Source],
        "variants": dict[str, list[str]],
        "recipes": dict[str, Loss],
        "evaluation": Evaluation,
        "seeds": int,
        "profiles": dict[str, Profile],
        "defaults": dict[str, typing.Any],
        "experiments": dict[str, dict[str, typing.Any]],
    }
    check_keys(tree, [*own_keys, *sections], str(path))
    own = convert({key: tree[key] for key in own_keys}, Experiment, str(path))
    values = {key: convert(tree[key], kind, f"{path}: {key}") for key, kind in sections.items()}
    profiles, profile_name = values.pop("profiles"), values.pop("profile")
    if profile_name not in profiles:
        raise InputError(f"{path}: profile: expected one of {', '.join(profiles)}, found '{profile_name}'")
    for name, profile in profiles.items():
        _check_profile(profile, f"{path}: profiles.{name}")
    rows = _rows(values.pop("defaults"), values["experiments"], str(path))
    values["experiments"] = {name: row.experiment for name, row in rows.items()}
    values["repeated"] = frozenset(name for name, row in rows.items() if row.repeated)
    check_keys(values["data"], list(PROTOCOLS), f"{path}: data")
    values["data"] = {name: _with_protocol(source, name, str(path)) for name, source in values["data"].items()}
    params = Params(own, profile_name, profiles[profile_name], **values)
    _check_references(params, str(path))
    return params


def _rows(defaults: dict[str, object], rows: dict[str, dict], path: str) -> dict[str, Row]:
    """The grid's rows, each with the defaults that it does not overrule."""
    needless = [key for key in defaults if key not in Row.__dataclass_fields__]
    if needless:
        raise InputError(f"{path}: defaults: expected keys of an experiment, found {', '.join(map(str, needless))}")
    return {name: convert(defaults | row, Row, f"{path}: experiments.{name}") for name, row in rows.items()}


def _check_references(params: Params, path: str) -> None:
    """Checks that span keys: names that refer to other sections, and ranges."""
    _check_variants(params.variants, f"{path}: variants")
    for name, experiment in [(OWN, params.own), *params.experiments.items()]:
        where = path if name == OWN else f"{path}: experiments.{name}"
        known_values = {"dataset": [*params.data, BOTH], "variant": params.variants, "recipe": params.recipes}
        for key, known in known_values.items():
            if str(getattr(experiment, key)) not in known:
                expected = ", ".join(map(str, known))
                raise InputError(f"{where}: {key}: expected one of {expected}, found '{getattr(experiment, key)}'")
        _check_experiment(experiment, params.pairs(experiment), where)
    for name in params.experiments:
        if not _ROW_NAME.fullmatch(name) or name.endswith("_pck"):
            raise InputError(
                f"{path}: experiments: expected names of letters, digits, - _ and ., no - or . first and no _pck last, "
                f"since they name files and DVC's stages, found {name!r}"
            )
    if OWN in params.experiments:
        raise InputError(f"{path}: experiments: the name '{OWN}' is taken by the top-level experiment")
    for name, loss in params.recipes.items():
        check_keys(loss.modality_weights, list(MODALITIES), f"{path}: recipes.{name}.modality_weights")
        weights = {"kl_weight": loss.kl_weight, "kl_weight_start": loss.kl_weight_start}
        _check_positive(weights, f"{path}: recipes.{name}")
    _check_positive({"seeds": params.seeds, "evaluation.block_frames": params.evaluation.block_frames}, path)


def _check_variants(variants: dict[str, list[str]], where: str) -> None:
    sides = ("i", "t", *MODALITIES)
    for name, pairs in variants.items():
        for pair in pairs:
            if len(ends := pair.split("->")) != 2 or not set(ends) <= set(sides):
                raise InputError(f"{where}.{name}: expected a->b with a and b of {', '.join(sides)}, found '{pair}'")
        if not pairs or len(set(pairs)) < len(pairs):
            raise InputError(f"{where}.{name}: expected one or more pairs, each once, found {pairs}")


def _check_experiment(experiment: Experiment, pairs: list[tuple[str, str]], where: str) -> None:
    """What depends on the kind of dataset: its inputs, its invariances, its folds, the modalities it has."""
    depth = PROTOCOLS[experiment.datasets[0]] not in (RhdProtocol, StbProtocol)
    inputs = ("depth",) if depth else ("rgb", "joints_2d")
    if experiment.input not in inputs:
        expected = f"{' or '.join(inputs)} with dataset {experiment.dataset}"
        raise InputError(f"{where}: input: expected {expected}, found '{experiment.input}'")
    if depth and experiment.scale_invariant:
        # the cube takes the place of both: joints are relative to its centre, in units of half its side
        raise InputError(f"{where}: invariances: expected T+H or T with depth, found '{experiment.invariances}'")
    known = {TARGET, *inputs}
    if foreign := [f"{source}->{target}" for source, target in pairs if not {source, target} <= known]:
        raise InputError(
            f"{where}: variant: expected pairs of {', '.join(sorted(known))} with dataset {experiment.dataset}, "
            f"found {', '.join(foreign)}"
        )
    if not {(experiment.input, TARGET), (TARGET, TARGET)} & set(pairs):
        raise InputError(
            f"{where}: variant: expected a pair {experiment.input}->{TARGET} or {TARGET}->{TARGET} to score, "
            f"found {', '.join('->'.join(pair) for pair in pairs)}"
        )
    if not 0 < experiment.label_fraction <= 1:
        raise InputError(
            f"{where}: label_fraction: expected more than 0 and at most 1, found {experiment.label_fraction}"
        )
    if not 0 <= experiment.validation < 1:
        raise InputError(f"{where}: validation: expected at least 0 and less than 1, found {experiment.validation}")
    subjects = MSRA_SUBJECTS if experiment.dataset == "msra" else (None,)
    if experiment.test_subject not in subjects:
        expected = ", ".join(subject or "null" for subject in subjects)
        raise InputError(
            f"{where}: test_subject: expected {expected} with dataset {experiment.dataset}, "
            f"found {experiment.test_subject or 'null'}"
        )


def _with_protocol(source: Source, name: str, path: str) -> Source:
    """The source with its protocol as the set's class."""
    where = f"{path}: data.{name}.protocol"
    protocol = convert(source.protocol, PROTOCOLS[name], where)
    if source.references and (name in ("rhd", "stb") or "labels" not in source.references):
        expected = "none" if name in ("rhd", "stb") else "labels among them"
        found = ", ".join(source.references)
        raise InputError(f"{path}: data.{name}.references: expected {expected}, found {found}")
    if not 0 <= protocol.doubtful_labels <= 1:
        raise InputError(f"{where}.doubtful_labels: expected a share from 0 to 1, found {protocol.doubtful_labels}")
    if name == "rhd":
        check_keys(protocol.without_visible_joint, list(SPLITS), f"{where}.without_visible_joint")
    return _as_meant(dataclasses.replace(source, protocol=protocol))


def _as_meant(source: Source) -> Source:
    """The source with a list of one as without brackets, and with `~` as the shell reads it."""
    where, sha256 = (
        one[0] if isinstance(one, list) and len(one) == 1 else one for one in (source.source, source.sha256)
    )
    expanded = os.path.expanduser(where) if isinstance(where, str) else [os.path.expanduser(one) for one in where]
    references = {method: os.path.expanduser(file) for method, file in source.references.items()}
    return dataclasses.replace(source, source=expanded, sha256=sha256, references=references)


def _check_profile(profile: Profile, where: str) -> None:
    check_keys(profile.training, list(INPUTS), f"{where}.training")
    check_keys(profile.synthetic, list(SYNTHETIC), f"{where}.synthetic")
    for dataset, keys in SYNTHETIC.items():
        check_keys(profile.synthetic[dataset], list(keys), f"{where}.synthetic.{dataset}")
        _check_sizes(profile.synthetic[dataset], f"{where}.synthetic.{dataset}")
    if profile.crop_px < 64 or profile.crop_px & (profile.crop_px - 1):
        # the encoder halves five times and needs 2 x 2 features, the decoder doubles from 4 x 4
        raise InputError(f"{where}.crop_px: expected a power of two, at least 64, found {profile.crop_px}")
    doublings = (profile.crop_px // 4).bit_length() - 1
    if profile.decoder_width > 0 and not 4 * profile.decoder_width >> (doublings - 1):
        least = -(-(1 << (doublings - 1)) // 4)
        raise InputError(
            f"{where}.decoder_width: expected at least {least} at crop_px {profile.crop_px}, which halves "
            f"its channels {doublings - 1} times, found {profile.decoder_width}"
        )
    if profile.context < 1:
        raise InputError(f"{where}.context: expected a number >= 1, found {profile.context}")
    keys = ("encoder_width", "decoder_width", "unscaled_unit_mm", "synthetic_block_frames", "repeated_seeds")
    _check_positive({key: getattr(profile, key) for key in keys}, where)
    if profile.encoder_width % 16:
        raise InputError(
            f"{where}.encoder_width: expected a multiple of 16, found {profile.encoder_width}: on CPUs oneDNN's "
            "convolutions (1 x 1, stride 2) of fewer input channels write outside their memory"
        )
    check_keys(profile.augmentation, list(INPUTS), f"{where}.augmentation")
    for name, augmentation in profile.augmentation.items():
        zoom = augmentation.scale
        if len(zoom) != 2 or not 0 < zoom[0] <= zoom[1]:
            expected = "[low, high] with 0 < low <= high"
            raise InputError(f"{where}.augmentation.{name}.scale: expected {expected}, found {zoom}")
    for name, training in profile.training.items():
        sizes = {key: getattr(training, key) for key in ("steps", "batch_size", "learning_rate", "muon_learning_rate")}
        _check_positive(sizes, f"{where}.training.{name}")
    datasets = (*PROTOCOLS, BOTH)
    if foreign := [name for name in profile.steps_share if name not in datasets]:
        raise InputError(f"{where}.steps_share: expected some of {', '.join(datasets)}, found {', '.join(foreign)}")
    _check_positive(profile.steps_share, f"{where}.steps_share")


def _check_sizes(sizes: dict[str, int | None], where: str) -> None:
    """Only a background may have no end."""
    for key, size in sizes.items():
        if size is None and key != "background_frames":
            raise InputError(f"{where}.{key}: expected a positive number, found null")
    _check_positive({key: size for key, size in sizes.items() if size is not None}, where)


def _check_positive(values: dict[str, float], where: str) -> None:
    for key, value in values.items():
        if not 0 < value < float("inf"):
            raise InputError(f"{where}.{key}: expected a positive number, found {value}")
