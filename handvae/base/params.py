"""params.yaml as checked dataclasses. A missing, unknown or mistyped key ends in one line that names it.

No defaults live in code: what is not in params.yaml does not exist.
"""

import dataclasses
import typing
from dataclasses import dataclass
from os.path import expanduser
from pathlib import Path
from typing import Literal, TypedDict

import yaml

from handvae.base import encoding, sections, yaml_text
from handvae.base.checked import convert
from handvae.base.dataset_params import DATASETS, JOINTS_2D, Count
from handvae.base.errors import InputError
from handvae.base.sections import (
    HEATMAPS,
    JOINTS,
    MODALITIES,
    OWN,
    TARGET,
    Experiment,
    Loss,
    Profile,
    Row,
    Source,
    Training,
)


@dataclass(frozen=True)
class Params:
    own: Experiment
    profile_name: str
    profile: Profile
    device: Literal["auto", "cpu", "cuda"]
    resident: Literal["auto", "device", "host"]
    data: dict[str, Source]
    variants: dict[str, list[str]]
    recipes: dict[str, Loss]
    evaluation: sections.Evaluation
    seeds: int  # models of every row of the grid
    init: str | None  # of the top-level experiment: a model whose weights it starts from
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
        """The profile's training of the experiment's input, for the dataset's and the variant's share of the steps."""
        training, shares = self.profile.training[experiment.input], self.profile.steps_share
        share = shares.get(experiment.dataset, 1.0) * shares.get(str(experiment.variant), 1.0)
        steps = round(training.steps * share)
        return dataclasses.replace(training, steps=max(1, steps))

    def pairs(self, experiment: Experiment) -> list[tuple[str, str]]:
        """The (input modality, target modality) pairs that Algorithm 1 goes through, in order."""
        modality = {"i": experiment.input, "t": TARGET} | {name: name for name in (*MODALITIES, HEATMAPS)}
        pairs = [tuple(pair.split("->")) for pair in self.variants[str(experiment.variant)]]
        return [(modality[source], modality[target]) for source, target in pairs]


_SECTIONS = {
    "profile": str,
    "device": Literal["auto", "cpu", "cuda"],
    "resident": Literal["auto", "device", "host"],
    "data": TypedDict("Data", dict.fromkeys(DATASETS, Source)),
    "variants": dict[str, sections.Variant],
    "recipes": dict[str, Loss],
    "evaluation": sections.Evaluation,
    "seeds": Count,
    "init": str | None,
    "profiles": dict[str, Profile],
    "defaults": dict[str, typing.Any],
    "experiments": dict[sections.RowName, dict[str, typing.Any]],
}
_File = TypedDict("_File", typing.get_type_hints(Experiment, include_extras=True) | _SECTIONS)


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check params.yaml. Raises InputError naming file and key."""
    try:
        tree = yaml_text.load(encoding.decoded(Path(path), Path(path).read_bytes()))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return _checked(tree)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _checked(tree: object) -> Params:
    values = convert(tree, _File)
    own = Experiment(**{key: values.pop(key) for key in Experiment.__dataclass_fields__})
    profiles, profile_name, defaults = (values.pop(key) for key in ("profiles", "profile", "defaults"))
    if profile_name not in profiles:
        raise InputError(f"profile: expected one of {', '.join(profiles)}, found '{profile_name}'")
    shared = (*DATASETS, sections.BOTH, *map(str, values["variants"]))
    for name, profile in profiles.items():
        if unknown := [key for key in profile.steps_share if key not in shared]:
            where = f"profiles.{name}.steps_share"
            raise InputError(f"{where}: expected sets or variants, {', '.join(shared)}, found {unknown[0]!r}")
    turned = values["evaluation"].turned_crops.variants
    if unknown := [name for name in turned if name not in map(str, values["variants"])]:
        raise InputError(f"evaluation.turned_crops.variants: expected variants, found {unknown[0]!r}")
    if unknown := [str(key) for key in defaults if key not in Row.__dataclass_fields__]:
        raise InputError(f"defaults: expected keys of an experiment, found {', '.join(unknown)}")
    changes = values["experiments"]
    rows = {name: convert(defaults | changes[name], Row, f"experiments.{name}") for name in changes}
    values["init"] = values["init"] and expanduser(values["init"])
    values["data"] = {name: _source(source, name) for name, source in values["data"].items()}
    values["experiments"] = {name: row.experiment for name, row in rows.items()}
    repeated = frozenset(name for name, row in rows.items() if row.repeated)
    params = Params(own, profile_name, profiles[profile_name], repeated=repeated, **values)
    _check_experiment(own, params, "")
    for name, experiment in params.experiments.items():
        _check_experiment(experiment, params, f"experiments.{name}: ")
    return params


def _source(source: Source, name: str) -> Source:
    """The source with its protocol as the set's class. A list of one is its item; `~` is the user's home."""
    dataset = DATASETS[name]
    protocol = convert(source.protocol, dataset.protocol, f"data.{name}.protocol")
    if source.references and ("labels" not in source.references or not dataset.is_depth):
        expected = "labels among them" if dataset.is_depth else "none"
        raise InputError(f"data.{name}.references: expected {expected}, found {', '.join(source.references)}")
    paths, sha256 = _unbracketed(source.source), _unbracketed(source.sha256)
    paths = expanduser(paths) if isinstance(paths, str) else [expanduser(path) for path in paths]
    references = {method: expanduser(path) for method, path in source.references.items()}
    return Source(paths, sha256, source.seed, protocol, references)


def _unbracketed(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _check_experiment(experiment: Experiment, params: Params, where: str) -> None:
    """InputError if the experiment names no variant or loss that exists, or does not fit its dataset."""

    def expect(holds: bool, key: str, expected: str, found: object) -> None:
        if not holds:
            raise InputError(f"{where}{key}: expected {expected}, found {found}")

    for key, known in {"variant": params.variants, "recipe": params.recipes}.items():
        name = str(getattr(experiment, key))
        expect(name in known, key, f"one of {', '.join(map(str, known))}", f"'{name}'")
    name, dataset, pairs = experiment.dataset, DATASETS[experiment.datasets[0]], params.pairs(experiment)
    inputs, modalities = " or ".join(dataset.inputs), sorted({*dataset.inputs, JOINTS_2D, TARGET, HEATMAPS})
    expect(experiment.input in dataset.inputs, "input", f"{inputs} with dataset {name}", f"'{experiment.input}'")
    # depth: the cube takes the place of both, joints are relative to its centre, in units of half its side
    unscaled = not (dataset.is_depth and experiment.scale_invariant)
    expect(unscaled, "invariances", "T+H or T with depth", f"'{experiment.invariances}'")
    texts = ["->".join(pair) for pair in pairs]
    foreign = [text for text, pair in zip(texts, pairs, strict=True) if not set(pair) <= set(modalities)]
    expect(not foreign, "variant", f"pairs of {', '.join(modalities)} with dataset {name}", ", ".join(foreign))
    # heat maps are decoded from images; to encode them is the rival's way, which is one of colour images
    maps = [
        text for text, (source, target) in zip(texts, pairs, strict=True) if target == HEATMAPS and source in JOINTS
    ]
    expect(not maps, "variant", f"heatmaps of an image with input {experiment.input}", ", ".join(maps))
    if any(source == HEATMAPS for source, _ in pairs):
        expect(not dataset.is_depth, "variant", f"no pair from heatmaps with dataset {name}", ", ".join(texts))
        image = [f"{experiment.input}->{HEATMAPS}"] * (experiment.input != JOINTS_2D)
        rival = [*image, f"{HEATMAPS}->{TARGET}"]
        wanted = f"the pairs of [38], {', '.join(rival)}, with input {experiment.input}"
        expect(sorted(texts) == sorted(rival), "variant", wanted, ", ".join(texts))
    expect(len(texts) == len({*texts}), "variant", f"each pair once with input {experiment.input}", ", ".join(texts))
    scored = [f"{source}->{TARGET}" for source in (experiment.input, TARGET, HEATMAPS)]
    expect(bool({*scored} & {*texts}), "variant", f"a pair {' or '.join(scored)} to score", ", ".join(texts))
    subject, subjects = experiment.test_subject, ", ".join(subject or "null" for subject in dataset.test_subjects)
    expect(subject in dataset.test_subjects, "test_subject", f"{subjects} with dataset {name}", subject or "null")
