"""Freed memory is used again, without a page being asked for."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCK = 10_000_000
"""Floats: 40 MB, beyond the 32 MiB up to which the C library keeps blocks of its own accord."""

COUNT = f"""
import resource, sys
import torch
from dyntex.malloc import keep_pages
if sys.argv[1] == "kept":
    keep_pages()
for _ in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x = torch.ones({BLOCK})
    y = torch.relu(x)
    z = x + y
    del x, y, z
    last = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(last)
"""


def faults(how: str) -> int:
    """Pages asked for by the last of 10 rounds of three blocks, in a process of its own: the setting stays."""
    run = [sys.executable, "-c", COUNT, how]
    small_pages = {"THP_MEM_ALLOC_ENABLE": "0"}
    return int(subprocess.run(run, capture_output=True, text=True, check=True, env=small_pages).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
def test_blocks_that_come_again_cost_no_pages():
    """Three blocks are 29297 pages of 4 KiB, each time anew or, once the heap has room for them, never again."""
    pages = 3 * BLOCK * 4 / 4096
    assert faults("given back") > 0.9 * pages
    assert faults("kept") < 0.1 * pages
