"""Reads the latent group of predictions files: what the figures and the claims of the latent space are made from."""

import numpy as np

from handvae.base.errors import InputError
from handvae.report.results import Result

MIXED = ("rgb", "joints_2d", "joints_3d")  # the modalities of Figure 8
SAMPLES = 500  # of each modality, as in the paper's Figure 1


def read_latent(result: Result, *names: str, seed: int = 0) -> list[np.ndarray]:
    """Arrays of the latent group by name, and others by "/name"; `seed`: of which of a row's models the latent group
    is. InputError where one is missing."""
    group = f"seed-{seed}/latent" if seed else "latent"
    with result.opened() as file:
        paths = [name[1:] if name.startswith("/") else f"{group}/{name}" for name in names]
        if missing := [path for path in paths if path not in file]:
            raise InputError(
                f"{result.predictions}: expected {', '.join(missing)}, found none; run `dvc repro` to evaluate it again"
            )
        return [file[path].asstr()[:] if file[path].dtype == object else file[path][:] for path in paths]


def read_encodings(
    result: Result, modalities: tuple[str, ...] = MIXED, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows (N,), posterior means (M, N, 30) and log-variances (M, N, 30) of test samples by several encoders.

    At most SAMPLES samples, evenly spaced over the test split.
    """
    mu, log_var = (
        np.stack(read_latent(result, *(f"{what}_{modality}" for modality in modalities), seed=seed))
        for what in ("mu", "log_var")
    )
    count = mu.shape[1]
    rows = np.unique(np.linspace(0, count - 1, min(SAMPLES, count)).round().astype(int))
    return rows, mu[:, rows], log_var[:, rows]
