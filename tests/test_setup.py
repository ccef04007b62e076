"""`make setup` from an index of stubs: for every package of the lock an empty wheel with its true dependencies."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY

LOCK = [Requirement(line) for line in (REPOSITORY / "requirements.txt").read_text().splitlines() if line[:1].isalnum()]
PINNED = {one.name: str(one.specifier)[2:] for one in LOCK if not one.marker or one.marker.evaluate()}
CUDA = re.compile("nvidia-|cuda-|triton$")
FOR_CPU = {name for name in PINNED if name.startswith("torch")}

pytestmark = [
    pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine"),
    # its packages do not say what those with CUDA need
    pytest.mark.skipif(importlib.metadata.version("torch") != PINNED["torch"], reason="made with CPU=1"),
]


def add_wheel(index: Path, name: str, version: str, needs: list[str]) -> None:
    """A wheel without content, and its page in the index."""
    folder = index / name
    folder.mkdir(parents=True)
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        facts = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
        extras = dict.fromkeys(re.findall(r"extra == ['\"](.+?)['\"]", " ".join(needs)))
        facts += [f"Provides-Extra: {extra}" for extra in extras]
        wheel.writestr(f"{stem}.dist-info/METADATA", "\n".join(["Metadata-Version: 2.1", *facts, ""]))
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{stem.replace("+", "%2B")}-py3-none-any.whl">{stem}</a>')


@pytest.fixture(scope="module")
def indexes(tmp_path_factory):
    """Two folders: the lock's packages as PyPI has them, and the builds of torch and torchvision for CPUs."""
    folder = tmp_path_factory.mktemp("indexes")
    for name, version in PINNED.items():
        needs = importlib.metadata.requires(name) or []
        add_wheel(folder / "pypi", name, version, needs)
        if name in FOR_CPU:
            without = [need for need in needs if not CUDA.match(canonicalize_name(Requirement(need).name))]
            add_wheel(folder / "cpu", name, f"{version}+cpu", without)
    return folder


def set_up(folder: Path, indexes: Path, *words: str) -> subprocess.CompletedProcess:
    for name in ("Makefile", "requirements.in", "requirements.txt"):
        shutil.copy(REPOSITORY / name, folder)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "MAKE"))}
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (indexes / "pypi").as_uri(), "PIP_NO_CACHE_DIR": "1"}
    command = ["make", "setup", f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, cwd=folder, env=kept | alone, capture_output=True, text=True)


def installed(folder: Path) -> dict[str, str]:
    (packages,) = folder.glob(".venv/lib/python*/site-packages")
    found = importlib.metadata.distributions(path=[str(packages)])
    return {canonicalize_name(one.name): one.version for one in found if one.name not in ("pip", "wheel")}


def test_setup_installs_what_the_lock_says(tmp_path, indexes):
    ran = set_up(tmp_path, indexes)
    assert ran.returncode == 0, ran.stderr
    assert installed(tmp_path) == PINNED


def test_setup_for_cpus_installs_the_same_versions_but_nothing_of_cuda(tmp_path, indexes):
    ran = set_up(tmp_path, indexes, "CPU=1", f"TORCH_CPU_INDEX={(indexes / 'cpu').as_uri()}")
    assert ran.returncode == 0, ran.stderr
    of_cpu = {name: f"{version}+cpu" for name, version in PINNED.items() if name in FOR_CPU}
    assert set(of_cpu) == {"torch", "torchvision"}
    assert installed(tmp_path) == {name: v for name, v in PINNED.items() if not CUDA.match(name)} | of_cpu


def test_setup_without_the_index_for_cpus_fails_and_takes_no_other_build(tmp_path, indexes):
    ran = set_up(tmp_path, indexes, "CPU=1", f"TORCH_CPU_INDEX={(tmp_path / 'none').as_uri()}")
    assert ran.returncode != 0 and "torch==" in ran.stderr
    assert "torch" not in installed(tmp_path) and not (tmp_path / ".venv/.ready").exists()
