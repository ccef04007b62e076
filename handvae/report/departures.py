"""Where a profile trains otherwise than the paper says, for the page and the tables."""

from handvae.base.params import Augmentation

# The paper's section 7.1 names augmentation under RGB only: rotations in [-45, 45] degrees and flips, of every set; its
# depth models have "the same architecture and training regime". The range of the shift is not given.
PAPERS = {
    "rgb": {"rotation_deg": 45.0, "flip": "always"},
    "depth": {"rotation_deg": 45.0, "flip": "always"},
    "joints_2d": {"rotation_deg": 0.0, "flip": "never"},
}
NAMES = {"rgb": "RGB", "depth": "depth", "joints_2d": "2D joints"}


def sentence(augmentation: dict[str, Augmentation], inputs: set[str], profile: str) -> str:
    """Which of the `inputs` are augmented otherwise: what differs, and the paper's value. "" where nothing does."""
    texts = []
    for name, papers in PAPERS.items():
        ours = {key: getattr(augmentation[name], key) for key in papers}
        odd = [f"{key} {ours[key]} (the paper: {value})" for key, value in papers.items() if ours[key] != value]
        if odd and name in inputs:
            texts.append(f"{NAMES[name]}: {', '.join(odd)}")
    why = "docs/choices.md says why and what it is worth."
    return f"Profile {profile} augments otherwise than the paper. {'; '.join(texts)}. {why}" if texts else ""
