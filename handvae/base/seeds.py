"""The name under which everything of one of an experiment's models is kept: folders, checkpoints, groups of HDF5."""


def seed_name(number: int) -> str:
    """`seed-<n>` of the model of the n-th training seed, from 0. Models and predictions of seed 0 lie one level up."""
    return f"seed-{number}"
