"""What several test files need: the repository, the real samples, a checked-in params.yaml to vary."""

from pathlib import Path

import pytest
import torch
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
REAL = REPOSITORY.parent / "shared" / "real"

torch.use_deterministic_algorithms(True)


@pytest.fixture
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("the real samples are not on this machine (../shared/real)")
    return REAL


@pytest.fixture
def params_tree() -> dict:
    return yaml.safe_load((REPOSITORY / "params.yaml").read_text())
