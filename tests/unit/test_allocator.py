"""Memory that layers free stays with the process, and goes back to the system when it is told to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from histoloop.allocator import keep_freed_memory

FAULTS = """
import resource
import numpy as np
from histoloop.allocator import keep_freed_memory

def faults_of_a_layer():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**26, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

arranged = ARRANGED
faults_of_a_layer()
print(arranged, sum(faults_of_a_layer() for _ in range(3)))
"""

RESIDENT = """
import os, psutil
import numpy as np
from histoloop.allocator import give_back_memory, keep_freed_memory

keep_freed_memory()
kept = [np.ones(2**24, np.uint8) for _ in range(8)]
end = np.ones(2**12, np.uint8)
del kept
before = psutil.Process(os.getpid()).memory_info().rss
give_back_memory()
print(before - psutil.Process(os.getpid()).memory_info().rss)
"""

needs_glibc = pytest.mark.skipif(not keep_freed_memory(), reason="the C library is not glibc")


def printed_by(program: str) -> list[str]:
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return run.stdout.split()


@needs_glibc
def test_a_layer_takes_the_pages_that_the_one_before_freed() -> None:
    arranged, kept = printed_by(FAULTS.replace("ARRANGED", "keep_freed_memory()"))
    _none, anew = printed_by(FAULTS.replace("ARRANGED", "None"))
    pages = 3 * 2**26 // 4096
    assert arranged == "True"
    assert int(kept) < 0.01 * pages
    assert int(anew) > int(kept)


@needs_glibc
def test_kept_memory_goes_back_to_the_system() -> None:
    assert int(printed_by(RESIDENT)[0]) > 100 * 2**20


def test_where_the_c_library_cannot_be_told_nothing_happens() -> None:
    program = "import sys; sys.platform = 'darwin'; from histoloop.allocator import *; print(keep_freed_memory()); "
    assert printed_by(program + "give_back_memory()") == ["False"]
