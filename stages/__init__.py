"""The pipeline's stages: thin programs that read params.yaml, call the package and write what dvc.yaml declares."""

import argparse
import itertools
import sys
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from handvae.base.errors import InputError


def _without_a_package(error_type: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Outside the environment one line instead of a traceback; all other exceptions as they were."""
    if not isinstance(error, ModuleNotFoundError) or (error.name or "").startswith(("handvae", "stages")):
        return sys.__excepthook__(error_type, error, trace)
    advice = "activate the environment (`source .venv/bin/activate`), or make it first (`make setup`)"
    print(f"error: {sys.executable} has no package {error.name}: {advice}", file=sys.stderr)


sys.excepthook = _without_a_package  # a package is missed while modules are imported, before any `run`


def run(main: Callable[..., None], *words: str) -> None:
    """Call a program's main; wrong usage, bad input and failing disks end in one line on stderr and exit code 1."""
    # dvc.yaml's commands carry a comment, which Windows' shell hands over
    words = tuple(itertools.takewhile(lambda word: word != "#", words))
    try:
        main(*words)
    except (InputError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    except KeyboardInterrupt as interrupt:
        sys.exit(str(interrupt) or "interrupted; run the same command again")


def command_line(program: str, text: str) -> argparse.ArgumentParser:
    """The parser of a program's words, which its main asks before it does anything.

    --help prints `text`, the program's docstring. InputError, with the usage, for words that it does not know.
    """

    def refuse(message: str) -> NoReturn:
        raise InputError(f"{program}: {message}; {' '.join(parser.format_usage().split())}")

    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(f"python -m {program}", None, text, formatter_class=layout, allow_abbrev=False)
    parser.error = refuse
    return parser
