"""Parameters of the models, layer by layer, beside the three counts that section 7.3 prints.

Ours come from the networks themselves. Those of Zimmermann & Brox [38] are counted here from its architecture as its
published code has it: PoseNet finds the joints in a 256 x 256 crop; from their score maps PosePrior predicts a
canonical pose and ViewPoint its rotation. HandSegNet, which finds the crop, is not in the count that the paper prints.
"""

from dataclasses import dataclass
from math import prod

import pandas as pd

from handvae.report import paper

SCORE_MAP_PX = 32  # side of the 256 px crop after three poolings
JOINTS = 21
SIDES = 2  # left and right, given as two inputs

Convolution = tuple[str, int, int, int]  # layer, side of its kernel, inputs, outputs
Dense = tuple[str, int, int]  # fully connected layer, inputs, outputs

POSE_NET: tuple[Convolution, ...] = (
    ("conv1_1", 3, 3, 64),
    ("conv1_2", 3, 64, 64),  # then pooled to 128 px
    ("conv2_1", 3, 64, 128),
    ("conv2_2", 3, 128, 128),  # 64 px
    ("conv3_1", 3, 128, 256),
    ("conv3_2", 3, 256, 256),
    ("conv3_3", 3, 256, 256),
    ("conv3_4", 3, 256, 256),  # 32 px
    ("conv4_1", 3, 256, 512),
    ("conv4_2", 3, 512, 512),
    ("conv4_3", 3, 512, 256),
    ("conv4_4", 3, 256, 256),
    ("conv4_5", 3, 256, 256),
    ("conv4_6", 3, 256, 256),
    ("conv4_7", 3, 256, 128),
    ("conv5_1", 1, 128, 512),
    ("conv5_2", 1, 512, JOINTS),
    # two stages refine the score maps, each from the last ones and the features of conv4_7
    *(
        (f"conv{stage}_{layer}", kernel, inputs, outputs)
        for stage in (6, 7)
        for layer, kernel, inputs, outputs in (
            (1, 7, JOINTS + 128, 128),
            *((layer, 7, 128, 128) for layer in (2, 3, 4, 5)),
            (6, 1, 128, 128),
            (7, 1, 128, JOINTS),
        )
    ),
)


def _halving(name: str, *widths: int) -> tuple[Convolution, ...]:
    """Two 3 x 3 convolutions a width, the second with stride 2, from the score maps of the joints."""
    inputs = (JOINTS, *widths[:-1])
    return tuple(
        (f"{name}_{block}_{place}", 3, source, width)
        for block, (first, width) in enumerate(zip(inputs, widths, strict=True))
        for place, source in ((1, first), (2, width))
    )


_LAST_PX = SCORE_MAP_PX // 2**3  # after three halvings

POSE_PRIOR: tuple[Convolution | Dense, ...] = (
    *_halving("conv_pose", 32, 64, 128),
    ("fc_rel0", _LAST_PX**2 * 128 + SIDES, 512),
    ("fc_rel1", 512, 512),
    ("fc_xyz", 512, 3 * JOINTS),
)
VIEW_POINT: tuple[Convolution | Dense, ...] = (
    *_halving("conv_vp", 64, 128, 256),
    ("fc_vp0", _LAST_PX**2 * 256 + SIDES, 256),
    ("fc_vp1", 256, 128),
    *((f"fc_vp_u{axis}", 128, 1) for axis in "xyz"),
)
BASELINE = {"[38] PoseNet": POSE_NET, "[38] PosePrior": POSE_PRIOR, "[38] ViewPoint": VIEW_POINT}


@dataclass(frozen=True)
class Layer:
    """One layer of a network and the shapes of its weights and biases, outputs first."""

    network: str
    name: str
    shapes: tuple[tuple[int, ...], ...]

    @property
    def parameters(self) -> int:
        return sum(prod(shape) for shape in self.shapes)

    @property
    def shape(self) -> str:
        """As one reads it: 64 x 3 x 7 x 7 + 64."""
        return " + ".join(" x ".join(map(str, shape)) for shape in self.shapes)


def baseline_layers() -> list[Layer]:
    """The layers of [38]; each has a bias."""
    layers = []
    for network, rows in BASELINE.items():
        for name, *kernel, inputs, outputs in rows:
            layers.append(Layer(network, name, ((outputs, inputs, *kernel, *kernel), (outputs,))))
    return layers


def our_layers(networks: dict[str, dict[str, tuple[int, ...]]]) -> list[Layer]:
    """Layers of networks given as {network: {"<layer>.weight": shape, ...}}, in that order."""
    layers = []
    for network, shapes in networks.items():
        by_layer: dict[str, list[tuple[int, ...]]] = {}
        for name, shape in shapes.items():
            by_layer.setdefault(name.rpartition(".")[0], []).append(shape)
        layers += [Layer(network, name, tuple(found)) for name, found in by_layer.items()]
    return layers


def layer_table(layers: list[Layer]) -> pd.DataFrame:
    """One row a layer."""
    rows = [(layer.network, layer.name, layer.shape, layer.parameters) for layer in layers]
    return pd.DataFrame(rows, columns=["network", "layer", "shape", "parameters"])


def parameter_table(counts: dict[int, int], layers: list[Layer]) -> pd.DataFrame:
    """Parameters of each variant, of each network and of [38], beside the counts that the paper prints.

    `counts`: of variants 1 to 4 at the paper's sizes (256 px, RGB, H); `layers`: of our networks and of [38]'s.
    """
    networks: dict[str, int] = {}
    for layer in layers:
        networks[layer.network] = networks.get(layer.network, 0) + layer.parameters
    ours = {name: count for name, count in networks.items() if name not in BASELINE}
    baseline = {name: count for name, count in networks.items() if name in BASELINE}
    rows = [
        *((f"variant {variant}", count, paper.PARAMETERS.get(variant)) for variant, count in counts.items()),
        *((name, count, None) for name, count in ours.items()),
        ("[38]", sum(baseline.values()), paper.BASELINE_PARAMETERS),
        *((name, count, None) for name, count in baseline.items()),
    ]
    table = pd.DataFrame(rows, columns=["model", "parameters", "paper_parameters"])
    table["paper_parameters"] = table["paper_parameters"].astype("Int64")
    table["verdict"] = [
        "not printed" if printed is None else "equal" if printed == count else "differs" for _, count, printed in rows
    ]
    return table


def as_text(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the parameter table."""
    rows = []
    for row in table.itertuples():
        printed = "–" if pd.isna(row.paper_parameters) else f"{row.paper_parameters:,}"
        rows.append([row.model, f"{row.parameters:,}", printed, row.verdict])
    return ["", "parameters", "the paper's", "verdict"], rows
