"""What several test files need: the repository, the real samples, a clone in which the graph has run."""

from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = REPOSITORY.parent / "shared" / "real"

# as every stage on a CPU (devices.make_repeatable), in the processes that tests start too
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)


needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real samples are not on this machine (../shared/real)")


@pytest.fixture
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip(needs_real.kwargs["reason"])
    return REAL


@pytest.fixture(scope="session")
def clone(tmp_path_factory) -> Path:
    """A clone at profile `tiny` in which `dvc repro` has run to the end. Tests leave it as it was."""
    from tests.tiny_clone import clone_at_tiny, commit_all, run  # the few tests that need it import DVC

    folder = clone_at_tiny(tmp_path_factory.mktemp("clone"))
    run("dvc", "repro", cwd=folder)
    commit_all(folder, "results")
    return folder
