"""The device that a model runs on: its choice, its name, repeatable results, its errors in one line."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from handvae.base import memory
from handvae.base.errors import InputError


def choose(asked: str, needs_gpu: bool = False) -> torch.device:
    """The device for `device` of params.yaml, auto | cpu | cuda; auto: a GPU where torch finds one, else the CPU.

    InputError where a GPU is asked for, or `needs_gpu` (a CPU would take weeks), and torch finds none.
    """
    if asked == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if asked == "cuda" or needs_gpu:
        whose = "device: cuda" if asked == "cuda" else "this profile"
        raise InputError(
            f"params.yaml: {whose} expects a GPU, torch finds none; "
            "to train on the CPU all the same set device: cpu (`dvc exp run -S device=cpu`)"
        )
    return torch.device("cpu")


def described(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)}"


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster there than float32: on GPUs and CPUs with instructions for it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()


def make_repeatable(device: torch.device) -> None:
    """Make torch give the same bytes for the same calls. On a CPU one thread: two may round a sum differently, and two
    models at a time, each on a core, learn 1.6 to 2 times as much as one on both."""
    if device.type == "cpu":
        torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only with a fixed workspace
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # with the line above torch fills every new tensor with NaN, to show one that is read before it is written; tests
    # show that none is, and filling takes 5 % of the time
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False


def compiled(function: Callable, device: torch.device) -> Callable:
    """`function` through torch.compile, or as it is, which a line says, where torch finds no working compiler.

    The compiler is tried on two operations of its own, so that nothing that fails in `function` looks like it.
    """
    ones = torch.ones(8, device=device)  # a broken device fails here, not as a missing compiler
    try:
        torch.compile(lambda x: x.sin() + 1)(ones)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        print(f"torch.compile does not work here, so the model runs uncompiled, slower: {reason}", file=sys.stderr)
        return function
    # else it times kernels and takes the fastest, another one on another day, which may round otherwise
    return torch.compile(function, options={"deterministic": True})


@contextmanager
def out_of_memory(task: str, device: torch.device, remedies: str) -> Iterator[None]:
    """Turn running out of the device's memory into one line that names the remedies."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(f"{task}: the memory of {described(device)} is too small; {remedies}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "DefaultCPUAllocator" not in str(error):
            raise
        needs = "an experiment on images holds those of its set there, or on the GPU"
        raise InputError(f"{task}: the memory of this machine is too small; {needs}") from error


def keep_freed_memory() -> None:
    """Memory that a step frees is kept for the next one: 8 to 10 % more images/s on the CPU."""
    memory.keep_freed(mmap_threshold=1 << 30, trim_threshold=(1 << 31) - 1)
