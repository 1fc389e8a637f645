"""Memory that is freed and asked for again a moment later."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of the GNU C library
NEVER = 2**31 - 1


def keep_pages() -> None:
    """Let this process keep the memory that it frees, for what it allocates next.

    A Langevin step of ``paper-fc128`` allocates a gigabyte and frees it again. By default each large block goes back to
    the system, and the pages of the next one are found and zeroed anew, which takes as long as the arithmetic on them.

    For the GNU C library; nothing happens where there is another, which has its own ways.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
