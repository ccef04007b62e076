"""How glibc handles freed memory, where it is glibc."""

import ctypes
import sys

PARAMETERS = {"trim_threshold": -1, "top_pad": -2, "mmap_threshold": -3}  # M_... of malloc.h


def keep_freed(**sizes: int) -> None:
    """Have large blocks that are freed stay with the process, by sizes in bytes of PARAMETERS: see mallopt(3).

    Without that each of them goes back to the system and is fetched, and cleared, again.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for name, size in sizes.items():
            libc.mallopt(PARAMETERS[name], size)
