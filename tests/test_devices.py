import os
import subprocess
import sys

import pytest
import torch

from handvae.base.errors import InputError
from handvae.model import devices
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")


def test_the_device_is_the_gpu_if_there_is_one_unless_another_is_asked_for(monkeypatch):
    for there, auto in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.choose("auto").type == auto and devices.choose("cpu", needs_gpu=True).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose("cuda").type == devices.choose("auto", needs_gpu=True).type == "cuda"


def test_a_gpu_that_is_needed_or_asked_for_and_not_there_is_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        InputError, match=r"this profile expects a GPU, torch finds none; .*`dvc exp run -S device=cpu`"
    ):
        devices.choose("auto", needs_gpu=True)
    with pytest.raises(InputError, match="device: cuda expects a GPU"):
        devices.choose("cuda")


def test_a_cpu_is_described_with_its_threads():
    threads = torch.get_num_threads()
    assert devices.described(CPU) == f"CPU, {threads} thread" + ("s" if threads > 1 else "")


def test_repeatable_fills_no_new_tensor():
    torch.utils.deterministic.fill_uninitialized_memory = True
    devices.make_repeatable(CPU)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_running_out_of_memory_is_one_line_with_its_remedies():
    with (
        pytest.raises(InputError, match=r"^train x: the memory of CPU, .* is too small; buy more$"),
        devices.out_of_memory("train x", CPU, "buy more"),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
    with (
        pytest.raises(InputError, match=r"^train x: the memory of this machine is too small; "),
        devices.out_of_memory("train x", CPU, "buy more"),
    ):
        torch.empty(10**15, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="something else"), devices.out_of_memory("train x", CPU, "buy more"):
        raise RuntimeError("something else")


WITHOUT_COMPILER = """
import torch
from handvae.model import devices
def function(x): return x * 2 + 1
assert devices.compiled(function, torch.device("cpu")) is function
"""


def test_without_a_compiler_the_model_runs_uncompiled_and_a_line_says_so(tmp_path):
    """torch's own compiler, on a machine that has no C++ compiler on its PATH."""
    environment = {key: value for key, value in os.environ.items() if key not in ("CC", "CXX")}
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_COMPILER]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("torch.compile does not work here")]
    assert len(lines) == 1 and "runs uncompiled, slower: " in lines[0] and "No working C++ compiler" in lines[0]


def fails_with(error):
    def compile_(function):
        def call(*arguments):
            raise error

        return call

    return compile_


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Failed to find C compiler. Please specify via CC environment variable"),
        subprocess.CalledProcessError(1, ["gcc", "main.c"]),  # as without Python's headers
        FileNotFoundError(2, "No such file or directory", "/opt/gcc"),
    ],
)
def test_every_way_of_having_no_compiler_ends_uncompiled(monkeypatch, capsys, error):
    monkeypatch.setattr(torch, "compile", fails_with(error))
    assert devices.compiled(fails_with, CPU) is fails_with
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), ValueError("a fault"), KeyboardInterrupt()]
)
def test_nothing_but_a_missing_compiler_is_taken_for_one(monkeypatch, error):
    monkeypatch.setattr(torch, "compile", fails_with(error))
    with pytest.raises(type(error)):
        devices.compiled(fails_with, CPU)


def test_a_fault_in_what_is_compiled_is_not_taken_for_a_missing_compiler(monkeypatch):
    original = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function: original(function, backend="eager"))

    def faulty(x):
        return x.view(7, 11)

    with pytest.raises(RuntimeError, match="shape"):
        devices.compiled(faulty, CPU)(torch.ones(8))
