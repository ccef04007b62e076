import subprocess

import pytest
import torch

from handvae.base.errors import InputError
from handvae.model import devices

CPU = torch.device("cpu")


def test_the_device_is_the_gpu_if_there_is_one_unless_another_is_asked_for(monkeypatch):
    for there, auto in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.choose("auto").type == auto and devices.choose("cpu", needs_gpu=True).type == "cpu"
    assert devices.choose("cuda").type == devices.choose("auto", needs_gpu=True).type == "cuda"


def test_a_gpu_that_is_needed_or_asked_for_and_not_there_is_one_line_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    remedy = r"this profile expects a GPU, torch finds none; .*`dvc exp run -S device=cpu`"
    with pytest.raises(InputError, match=remedy):
        devices.choose("auto", needs_gpu=True)
    with pytest.raises(InputError, match="device: cuda expects a GPU"):
        devices.choose("cuda")


def test_running_out_of_memory_is_one_line_with_its_remedies():
    def guarded():
        return devices.out_of_memory("train x", CPU, "buy more")

    with pytest.raises(InputError, match=r"^train x: the memory of CPU, .* is too small; buy more$"), guarded():
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
    with pytest.raises(InputError, match=r"^train x: the memory of this machine is too small; "), guarded():
        torch.empty(10**15, dtype=torch.uint8)
    with pytest.raises(RuntimeError, match="something else"), guarded():
        raise RuntimeError("something else")


def compile_error(monkeypatch, error):
    """What compiles fails with this error when it is called."""

    def fail(*arguments):
        raise error

    monkeypatch.setattr(torch, "compile", lambda function: fail)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Failed to find C compiler. Please specify via CC environment variable"),
        subprocess.CalledProcessError(1, ["gcc", "main.c"]),  # as without Python's headers
        FileNotFoundError(2, "No such file or directory", "/opt/gcc"),
    ],
)
def test_without_a_compiler_the_model_runs_uncompiled_and_a_line_says_so(monkeypatch, capsys, error):
    compile_error(monkeypatch, error)
    assert devices.compiled(compile_error, CPU) is compile_error
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("torch.compile does not work here, so the model runs uncompiled, slower: ")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), ValueError("a fault")])
def test_nothing_but_a_missing_compiler_is_taken_for_one(monkeypatch, error):
    compile_error(monkeypatch, error)
    with pytest.raises(type(error)):
        devices.compiled(compile_error, CPU)
