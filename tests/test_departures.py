from handvae.base import params
from handvae.report.grid_results import departures
from tests.conftest import REPOSITORY


def test_what_a_profile_augments_otherwise_than_the_paper_is_said_of_the_inputs_that_were_trained(tmp_path):
    text = (REPOSITORY / "params.yaml").read_text()
    profiles = {}
    for name in ("paper", "small"):
        (tmp_path / "params.yaml").write_text(text.replace("\nprofile: small ", f"\nprofile: {name} "))
        profiles[name] = params.load(tmp_path / "params.yaml").profile.augmentation
    assert departures(profiles["paper"], {"rgb", "depth", "joints_2d"}, "paper") == ""
    assert departures(profiles["small"], {"rgb", "joints_2d"}, "small").startswith(
        "Profile small augments otherwise than the paper. RGB: flip two_sided (the paper: always); "
        "2D joints: rotation_deg 45.0 (the paper: 0.0), flip two_sided (the paper: never). "
    )
