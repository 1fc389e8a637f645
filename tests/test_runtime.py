"""Speed settings: freed memory is used again, denormal numbers are zero in every thread, and only while it matters."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from dyntex.errors import UsageError
from dyntex.runtime import choose_device, full_speed

BLOCK = 10_000_000
"""Floats: 40 MB, beyond the 32 MiB up to which the C library keeps blocks of its own accord."""

COUNT = f"""
import resource, sys
import torch
from dyntex.runtime import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(10):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    x = torch.ones({BLOCK})
    y = torch.relu(x)
    z = x + y
    del x, y, z
    last = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(last)
"""

# The workers are started by an operation before the setting: a program has read its clip by then.
DENORMALS = """
import torch
from dyntex.runtime import full_speed
torch.set_num_threads(2)
x = torch.full((2**22,), 1e-39)
def zeros():
    return float((x * 0.5 == 0.0).float().mean())
shares = [zeros()]
with full_speed():
    shares.append(zeros())
    with full_speed():
        pass
    shares.append(zeros())
shares.append(zeros())
print(shares, torch.get_num_threads())
"""


def faults(how: str, **environment: str) -> int:
    """Pages asked for by the last of 10 rounds of three blocks, in a process of its own: the setting stays."""
    run = [sys.executable, "-c", COUNT, how]
    small_pages = {"THP_MEM_ALLOC_ENABLE": "0"}
    return int(subprocess.run(run, capture_output=True, text=True, check=True, env=small_pages | environment).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of the GNU C library")
def test_blocks_that_come_again_cost_no_pages():
    """Three blocks are 29297 pages of 4 KiB, each time anew or, once the heap has room for them, never again."""
    pages = 3 * BLOCK * 4 / 4096
    assert faults("given back") > 0.9 * pages
    assert faults("kept") < 0.1 * pages
    assert faults("kept", DYNTEX_KEEP_MALLOC="1") > 0.9 * pages


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="workers of the GNU OpenMP library")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="its floating-point environment has the setting")
def test_denormal_numbers_are_zero_in_every_thread_and_only_within():
    run = subprocess.run([sys.executable, "-c", DENORMALS], capture_output=True, text=True, check=True)
    assert run.stdout.split("\n")[0] == "[0.0, 1.0, 1.0, 0.0] 2"


def test_a_program_that_set_it_for_itself_keeps_it():
    def is_zero() -> bool:
        return float(torch.tensor(1e-39) * 0.5) == 0.0

    torch.set_flush_denormal(True)
    try:
        with full_speed():
            assert is_zero()
        assert is_zero()
    finally:
        torch.set_flush_denormal(False)
    with pytest.raises(ZeroDivisionError), full_speed():
        raise ZeroDivisionError
    assert not is_zero()


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "CPU"])
def test_devices_that_are_not_there_are_refused(name: str):
    with pytest.raises(UsageError, match="choose auto"):
        choose_device(name)


def test_auto_is_the_best_device_there_is():
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device("auto") == choose_device() == torch.device(best)
    assert choose_device(torch.device("cpu")) == torch.device("cpu")
