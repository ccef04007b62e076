"""The record of a training: a row of history.csv for each block of steps, and the note in the progress line."""

import csv
import io

import torch

from handvae.model.schedules import kl_weight, rate_share
from handvae.model.settings import Settings

History = list[dict[str, float]]  # a row a block of steps


def row(step: int, settings: Settings, terms: torch.Tensor) -> dict[str, float]:
    """One row of history.csv: the terms (pairs, 2) averaged over the block of steps that ends at `step`."""
    values: dict[str, float] = {
        "step": step,
        "learning_rate": settings.training.learning_rate * rate_share(step - 1, settings.training),
        "kl_weight": kl_weight(step - 1, settings.training.steps, settings.loss),
    }
    for (source, target), (reconstruction, kl) in zip(settings.pairs, terms.tolist(), strict=True):
        values |= {f"{source}->{target}_reconstruction": reconstruction, f"{source}->{target}_kl": kl}
    return values | {"loss": float(terms[:, 0].sum() + values["kl_weight"] * terms[:, 1].sum())}


def as_csv(history: History) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(history[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: f"{value:.7g}" for key, value in values.items()} for values in history)
    return text.getvalue()


def note(settings: Settings, terms: torch.Tensor) -> str:
    """The terms (pairs, 2) for the progress line."""
    pairs = zip(settings.pairs, terms.tolist(), strict=True)
    return ", ".join(f"{'->'.join(pair)} {error:.3g} + KL {kl:.3g}" for pair, (error, kl) in pairs)
