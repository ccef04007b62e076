"""The name of a training seed in folders, checkpoints and groups of HDF5 files."""


def seed_name(number: int) -> str:
    """`seed-<n>` for the n-th training seed, from 0. The model and predictions of seed 0 lie one level up."""
    return f"seed-{number}"
