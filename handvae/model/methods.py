"""Which model an experiment trains: the paper's VAE, or the rival that its tables compare it with."""

from collections.abc import Callable, Iterable

from handvae.base.sections import HEATMAPS
from handvae.model import vae, zb17
from handvae.model.vae import Architecture, CrossModalVAE, Pair
from handvae.model.zb17 import ZimmermannBrox


def is_vae(pairs: Iterable[Pair]) -> bool:
    """Whether every pair begins with a modality. Those of Zimmermann and Brox go on from heat maps."""
    return all(source != HEATMAPS for source, _ in pairs)


def build(architecture: Architecture, seed: int) -> CrossModalVAE | ZimmermannBrox:
    """The model with its first weights."""
    return (CrossModalVAE if is_vae(architecture.pairs) else ZimmermannBrox)(architecture, seed)


def terms_of(architecture: Architecture) -> Callable:
    """The loss terms of one source: see `vae.terms`."""
    return vae.terms if is_vae(architecture.pairs) else zb17.terms
