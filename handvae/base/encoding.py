"""Text as people's editors save it: UTF-8, perhaps with a byte-order mark at its start. Wider encodings are named."""

import codecs
import re
from pathlib import Path

from handvae.base.errors import InputError

START_BYTES = 4  # as many as _WIDE looks at
# the marks of UTF-16 and UTF-32, or a first letter with zeros beside it
_WIDE = re.compile(rb"\xff\xfe|\xfe\xff|\0\0\xfe\xff|(\0|\0\0\0)[\t-~]|[\t-~]\0")


def mark_bytes(path: Path, start: bytes) -> int:
    """How many of a file's first bytes (START_BYTES or more) are UTF-8's mark. InputError for UTF-16 and UTF-32."""
    if _WIDE.match(start):
        raise InputError(f"{path}: expected text in UTF-8, found UTF-16 or UTF-32; save it as UTF-8")
    return len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0


def decoded(path: Path, content: bytes) -> str:
    """The text that `content`, all of `path`, holds, without its mark. InputError for what is not UTF-8."""
    content = content[mark_bytes(path, content) :]
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        expected = "expected text in UTF-8, found another encoding; save it as UTF-8"
        raise InputError(f"{path}: line {line}: {expected}") from None
