"""YAML as PyYAML reads it (version 1.1), but for numbers, which DVC and most people write as in version 1.2."""

import re

import yaml


class _Loader(yaml.SafeLoader):
    """Reads 5e-05, 1E-4, 1.e-4, +1e3 and -.5 as numbers too; what is quoted stays text."""


# Version 1.1 wants a point and a sign in the exponent: without them PyYAML takes these for text.
_NUMBER = re.compile(r"([-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+|[-+]\.\d+)$", re.ASCII)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def load(text: str) -> object:
    """The tree in `text`. Raises yaml.YAMLError."""
    return yaml.load(text, _Loader)
