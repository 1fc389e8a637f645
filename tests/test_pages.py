"""Freed memory is used again, without a page being asked for."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from dyntex.pages import keep_pages
if sys.argv[1] == "kept":
    keep_pages()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(2**24)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
@pytest.mark.parametrize(("how", "least", "most"), [("kept", 0, 100), ("given back", 1000, 20000)])
def test_the_third_block_of_64_mib_costs_no_page(how: str, least: int, most: int):
    """In a process of its own, because the setting stays: 64 MiB are 16384 pages of 4 KiB."""
    environment = {"THP_MEM_ALLOC_ENABLE": "0"}
    run = subprocess.run(
        [sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True, env=environment
    )
    assert least <= int(run.stdout) <= most
