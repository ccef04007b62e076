"""How well a latent space mixes its modalities. Encodings of the same N samples by M modalities in, numbers out."""

import numpy as np
from scipy.spatial.distance import cdist

from handvae.base.errors import InputError

NEIGHBOURS = 10
PERMUTATIONS = 200


def nearest(points: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Indices (P, count) of each point's nearest others, nearest first; points (P, D), of equally near ones the first.

    InputError where there are too few points for so many neighbours.
    """
    if len(points) <= count:
        raise InputError(f"latent space: expected more than {count} points for {count} neighbours, found {len(points)}")
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")[:, :count]


def purities(encodings: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Share (M, N), 0 to 1, of each encoding's `count` nearest others that are of its own modality.

    Encodings (M, N, D). 1 throughout: each modality lies on its own.
    """
    labels = np.repeat(np.arange(len(encodings)), encodings.shape[1])
    neighbours = nearest(encodings.reshape(len(labels), -1), count)
    return (labels[neighbours] == labels[:, None]).mean(axis=1).reshape(encodings.shape[:2])


def purity_of_shuffled(encodings: np.ndarray, seed: int, count: int = NEIGHBOURS) -> tuple[float, float, float]:
    """Mean purity and its 95 % range (low, high) if it did not matter which of a sample's encodings is which.

    PERMUTATIONS times the labels of each sample's M encodings are shuffled among them: what a space must show that does
    not know modalities. It is about 1/M, and less the nearer a sample's encodings lie to each other, since none of them
    is then among neighbours of its own modality.
    """
    modalities, samples, _ = encodings.shape
    neighbours = nearest(encodings.reshape(modalities * samples, -1), count)
    random, purity = np.random.default_rng(seed), []
    for _ in range(PERMUTATIONS):
        labels = random.permuted(np.repeat(np.arange(modalities)[:, None], samples, axis=1), axis=0).ravel()
        purity.append((labels[neighbours] == labels[:, None]).mean())
    low, high = np.percentile(purity, (2.5, 97.5))
    return float(np.mean(purity)), float(low), float(high)


def apart_percent(purity: np.ndarray, shuffled: float) -> np.ndarray:
    """A purity as its place on the way from shuffled modalities (0) to modalities that lie apart (100)."""
    return 100 * (purity - shuffled) / (1 - shuffled)


def nearer_than_own(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Share (N,), 0 to 1, of the others' encodings in the gallery that lie nearer to a query than its own.

    Queries and gallery (N, D), the same N samples by two modalities. 0: its own is the nearest; 0.5 on average where
    the two have nothing in common. Equally near ones count half, so that a constant encoder does not look perfect.
    """
    distances = cdist(queries, gallery)
    own = distances.diagonal()[:, None]
    equal_others = (distances == own).sum(axis=1) - 1
    return ((distances < own).sum(axis=1) + equal_others / 2) / (len(gallery) - 1)
