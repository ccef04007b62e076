"""The pipeline's stages: thin programs that read params.yaml, call the package and write what dvc.yaml declares."""

import sys
from collections.abc import Callable

from handvae.errors import InputError


def run(main: Callable[..., None], *args: str) -> None:
    """Call a stage's main; bad input and failing disks end in one line on stderr and exit code 1."""
    try:
        main(*args)
    except (InputError, OSError) as error:
        sys.exit(f"error: {error}")
