"""Folders for measurements: a params.yaml of some profile, and sets that are rendered and preprocessed there once."""

import re
import sys
from pathlib import Path

import yaml

from benchmarks import measure
from handvae.base import params
from handvae.base.errors import InputError

PARAMS = measure.REPOSITORY / "params.yaml"
PROFILE = r"(?m)^profile: [\w-]+"


def workspace(folder: Path, profile: str, changes: dict[str, dict[str, int]] | None = None) -> Path:
    """`folder` with a params.yaml that asks for `profile`; `changes`: to its sizes of rendered sets.

    InputError where there is no such profile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tree = yaml.safe_load(re.sub(PROFILE, f"profile: {profile}", PARAMS.read_text()))
    if profile not in tree["profiles"]:
        raise InputError(f"{PARAMS.name}: expected a profile of {', '.join(tree['profiles'])}, found {profile!r}")
    for name, sizes in (changes or {}).items():
        tree["profiles"][profile]["synthetic"][name].update(sizes)
    (folder / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return folder


def loaded(folder: Path) -> params.Params:
    return params.load(folder / "params.yaml")


def stage(folder: Path, name: str, *arguments: str) -> measure.Finished:
    """One stage of the pipeline, as DVC would run it, in a folder of `workspace`."""
    return measure.command([sys.executable, "-m", f"stages.{name}", *arguments], folder)


def prepared(folder: Path, name: str) -> Path:
    """data/processed/<name>.h5 of a folder of `workspace`, rendered and preprocessed unless it is there already."""
    path = folder / "data" / "processed" / f"{name}.h5"
    if not path.exists():
        stage(folder, "download", name)
        stage(folder, "preprocess", name)
    return path
