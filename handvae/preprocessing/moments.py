"""Rows that resemble each other: all that show one pose, and the frames of a stretch of video."""

import numpy as np


def blocks(moment: np.ndarray, sequence: np.ndarray, frame: np.ndarray, block_frames: int) -> np.ndarray:
    """The block (N,) int64 of every row, numbered from 0 in the order in which they come.

    Rows of one `moment` share a block. Sequences that have a moment in common are one video. Its moments, in the order
    of their `frame` numbers, are cut into runs of equal length, as near to `block_frames` as leaves no shorter rest. A
    row without a sequence ("") belongs to no video: its moment is a block. All (N,).
    """
    moments = _numbered(moment.tolist())
    sequences = _numbered([name or ("", number) for name, number in zip(sequence, moments.tolist(), strict=True)])
    videos = _videos(moments, sequences)
    _, first_row = np.unique(moments, return_index=True)
    order = np.lexsort((frame[first_row], videos))
    length = np.bincount(videos)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - (length.cumsum() - length)[videos[order]]
    runs = np.maximum(np.round(length / block_frames), 1).astype(np.int64)
    run = rank * runs[videos] // length[videos]
    return _numbered(list(zip(videos[moments].tolist(), run[moments].tolist(), strict=True)))


def _videos(moments: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    """The video of each moment, the least of its sequences' numbers, where rows (N,) tie moments to sequences."""
    of_sequence = np.arange(sequences.max() + 1)
    while True:
        of_moment = np.full(moments.max() + 1, len(of_sequence))
        np.minimum.at(of_moment, moments, of_sequence[sequences])
        before = of_sequence.copy()
        np.minimum.at(of_sequence, sequences, of_moment[moments])
        if (of_sequence == before).all():
            return _numbered(of_moment.tolist())


def _numbered(keys: list) -> np.ndarray:
    """Equal keys have one number, from 0 in the order in which they come."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)
