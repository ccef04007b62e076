"""The demo's page: pictures in one HTML file that needs no network."""

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Shown:
    """A predicted picture (H, W, 3) and a line on it."""

    picture_u8: np.ndarray
    text: str


def page(sections: dict[str, tuple[list[Shown], str]]) -> str:
    """HTML of the sections: title -> pictures, and the file of the model that made them."""
    parts = []
    for title, (shown, model) in sections.items():
        figures = "\n".join(_figure(one) for one in shown)
        parts.append(f"<h2>{html.escape(title)}</h2>\n<p><code>{html.escape(model)}</code></p>\n{figures}")
    return Template(Path(__file__).with_name("demo_page.html").read_text("utf-8")).substitute(sections="\n".join(parts))


def _figure(shown: Shown) -> str:
    buffer, text = io.BytesIO(), html.escape(shown.text)
    Image.fromarray(shown.picture_u8).save(buffer, "jpeg", quality=85)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{text}" src="data:image/jpeg;base64,{data}"><figcaption>{text}</figcaption></figure>'
