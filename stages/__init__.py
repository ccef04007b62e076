"""The pipeline's stages: thin programs that read params.yaml, call the package and write what dvc.yaml declares."""

import argparse
import inspect
import itertools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from handvae.base.errors import InputError


def _without_a_package(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Outside the environment one line instead of a traceback; all other exceptions as they were."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").startswith(("handvae", "stages")):
        return sys.__excepthook__(kind, error, trace)
    advice = "activate the environment (`source .venv/bin/activate`), or make it first (`make setup`)"
    print(f"error: {sys.executable} has no package {error.name}: {advice}", file=sys.stderr)


sys.excepthook = _without_a_package  # a package is missed while modules are imported, before any `run`


def run(main: Callable[..., None], *arguments: str) -> None:
    """Call a stage's main; wrong usage, bad input and failing disks end in one line on stderr and exit code 1."""
    text = main.__globals__["__doc__"]  # of its module
    # dvc.yaml's commands carry a comment, which Windows' shell hands over
    arguments = tuple(itertools.takewhile(lambda word: word != "#", arguments))
    if set(arguments) & {"-h", "--help"}:
        print(text)
        return
    try:
        inspect.signature(main).bind(*arguments)
    except TypeError:
        sys.exit(f"error: {text.splitlines()[0]}")
    try:
        main(*arguments)
    except (InputError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except KeyboardInterrupt as interrupt:
        sys.exit(str(interrupt) or "interrupted; run the same command again")


def option_parser(program: str, text: str) -> argparse.ArgumentParser:
    """A parser for `run`, whose errors are an InputError with the usage that `text`, the program's docstring, gives."""

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{program}: {message}; {text.splitlines()[0].partition('. ')[2]}")

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = refuse
    return parser
