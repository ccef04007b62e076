"""How well a latent space mixes its modalities. Encodings of the same N samples by M modalities in, numbers out."""

import numpy as np

from handvae.base.errors import InputError

NEIGHBOURS = 10
PERMUTATIONS = 200
CHUNK = 256  # rows of distances held at once


def nearest(points: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """Indices (P, count) of each point's nearest others, nearest first; points (P, D), of equally near ones the first.

    InputError where there are too few points for so many neighbours.
    """
    if len(points) <= count:
        raise InputError(f"latent space: expected more than {count} points for {count} neighbours, found {len(points)}")
    rows = []
    for start in range(0, len(points), CHUNK):
        distances = distances_between(points[start : start + CHUNK], points)
        own = np.arange(len(distances))
        distances[own, start + own] = np.inf
        rows.append(np.argsort(distances, axis=1, kind="stable")[:, :count])
    return np.concatenate(rows)


def distances_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances (P, Q) of points (P, D) and (Q, D), exactly 0 where they are equal."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    # not by |a|^2 + |b|^2 - 2ab, which is faster but no longer tells equal points from near ones
    return np.sqrt(sum((a[:, None, column] - b[None, :, column]) ** 2 for column in range(a.shape[1])))


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
    random = np.random.default_rng(seed)
    found = []
    for _ in range(PERMUTATIONS):
        labels = random.permuted(np.repeat(np.arange(modalities)[:, None], samples, axis=1), axis=0).ravel()
        found.append((labels[neighbours] == labels[:, None]).mean())
    low, high = np.percentile(found, (2.5, 97.5))
    return float(np.mean(found)), float(low), float(high)


def apart_percent(purity: np.ndarray, shuffled: float) -> np.ndarray:
    """A purity as its place on the way from shuffled modalities (0) to modalities that lie apart (100)."""
    return 100 * (purity - shuffled) / (1 - shuffled)


def nearer_than_own(queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Share (N,), 0 to 1, of the others' encodings in the gallery that lie nearer to a query than its own.

    Queries and gallery (N, D), the same N samples by two modalities. 0: its own is the nearest; 0.5 on average where
    the two have nothing in common. Equally near ones count half, so that a constant encoder does not look perfect.
    """
    if queries.shape != gallery.shape or len(queries) < 2:
        raise InputError(f"encodings: expected two equal shapes (N > 1, D), found {queries.shape}, {gallery.shape}")
    shares = []
    for start in range(0, len(queries), CHUNK):
        distances = distances_between(queries[start : start + CHUNK], gallery)
        rows = np.arange(len(distances))
        own = distances[rows, start + rows][:, None]
        equal_others = (distances == own).sum(axis=1) - 1
        shares.append(((distances < own).sum(axis=1) + equal_others / 2) / (len(gallery) - 1))
    return np.concatenate(shares)
