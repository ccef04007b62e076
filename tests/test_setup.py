"""What `make setup` would install: the lock fulfils all that is asked for, and holds nothing else."""

import importlib.metadata
import re
import shutil
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import REPOSITORY


def requirements(name: str) -> list[Requirement]:
    lines = (REPOSITORY / name).read_text().splitlines()
    read = [Requirement(line.partition(" #")[0]) for line in lines if line[:1].isalnum()]
    return [wanted for wanted in read if not wanted.marker or wanted.marker.evaluate()]


PINNED = {pin.name: str(pin.specifier).removeprefix("==") for pin in requirements("requirements.txt")}


@pytest.mark.skipif(importlib.metadata.version("torch") != PINNED["torch"], reason="made with CPU=1: no CUDA here")
def test_the_lock_has_a_fitting_version_of_whatever_is_needed_and_nothing_else():
    waiting, needed = requirements("requirements.in"), set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        assert wanted.specifier.contains(PINNED[name], prereleases=True), f"{wanted}, and {PINNED[name]} in the lock"
        for extra in {"", *wanted.extras} - {extra for other, extra in needed if other == name}:
            needed.add((name, extra))
            for line in importlib.metadata.requires(name) or []:
                need = Requirement(line)
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    waiting.append(need)
    assert {name for name, _ in needed} == set(PINNED)


@pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")
@pytest.mark.parametrize("cpu", [True, False])
def test_make_takes_torch_of_the_lock_from_the_index_for_cpus_first_if_it_is_asked_to(tmp_path, cpu):
    for name in ("Makefile", "requirements.in", "requirements.txt"):
        shutil.copy(REPOSITORY / name, tmp_path)
    command = ["make", "-n", "setup", f"PYTHON={sys.executable}", f"CPU={int(cpu)}", "TORCH_CPU_INDEX=cpu-index"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    installs = [line.partition(" install ")[2] for line in said.splitlines() if "pip install" in line]
    of_torch = "--index-url cpu-index $(grep '^torch' requirements.txt)"
    assert installs[-1].endswith("-r requirements.in -c requirements.txt") and len(installs) == 1 + cpu
    assert not cpu or (installs[0].endswith(of_torch) and "--no-deps" in installs[0])
    locked = re.findall(r"^torch.*", (REPOSITORY / "requirements.txt").read_text(), re.MULTILINE)
    assert [line.split("==")[0] for line in locked] == ["torch", "torchvision"]
