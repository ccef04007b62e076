"""What several test files need: the repository, the real samples."""

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
