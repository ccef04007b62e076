"""Parameters of the models, layer by layer, beside the three counts that section 7.3 prints.

They come from the networks themselves, those of Zimmermann & Brox [38] too: handvae.model.zb17.
"""

from math import prod

import pandas as pd

from handvae.report import paper

BASELINE = "[38]"


def layer_table(networks: dict[str, dict[str, tuple[int, ...]]]) -> pd.DataFrame:
    """A row a layer of networks {network: {"<layer>.weight": shape, ...}}: network, layer, shape, count.

    The shape is that of its weights and biases, outputs first, as one reads it: 64 x 3 x 7 x 7 + 64.
    """
    layers: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for network, shapes in networks.items():
        for name, shape in shapes.items():
            layers.setdefault((network, name.rpartition(".")[0]), []).append(shape)
    rows = [
        (*names, " + ".join(" x ".join(map(str, shape)) for shape in shapes), sum(map(prod, shapes)))
        for names, shapes in layers.items()
    ]
    return pd.DataFrame(rows, columns=["network", "layer", "shape", "parameters"])


def parameter_table(counts: dict[int, int], layers: pd.DataFrame) -> pd.DataFrame:
    """Parameters of each variant, of each network and of [38], beside the counts that the paper prints.

    `counts`: of variants 1 to 4 at the paper's sizes (256 px, RGB, H); `layers`: as `layer_table` has them.
    """
    networks = layers.groupby("network", sort=False)["parameters"].sum()
    baseline = networks[networks.index.str.startswith(BASELINE)]
    models = {f"variant {variant}": count for variant, count in counts.items()}
    models |= networks.drop(baseline.index).to_dict() | {BASELINE: baseline.sum()} | baseline.to_dict()
    printed = {f"variant {variant}": count for variant, count in paper.PARAMETERS.items()}
    table = pd.DataFrame({"model": models.keys(), "parameters": models.values()})
    table["paper_parameters"] = table["model"].map(printed | {BASELINE: paper.BASELINE_PARAMETERS}).astype("Int64")
    equal = table["paper_parameters"] == table["parameters"]
    table["verdict"] = equal.map({True: "equal", False: "differs"}).fillna("not printed")
    return table


def parameter_text(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    rows = []
    for row in table.itertuples():
        printed = "–" if pd.isna(row.paper_parameters) else f"{row.paper_parameters:,}"
        rows.append([row.model, f"{row.parameters:,}", printed, row.verdict])
    return ["", "parameters", "the paper's", "verdict"], rows
