"""What all tests share: threads that really run, settings put back, random tests that repeat.

A failing random test prints a `@reproduce_failure` line. With `CI` set the examples are always the
same ones.
"""

import os
import signal

# A shell that starts the tests in the background has SIGINT ignored, also by them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read once, when the core is first used: also the smallest piece of work then gets its threads.
os.environ.setdefault("FASTMLP_MIN_WORK", "0")
# Threads that wait spin for microseconds and then sleep: in teams larger than the machine, of which
# there are many here, a spinning thread keeps a processor from one that has work.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import pytest
from hypothesis import settings

import fastmlp

settings.register_profile(
    "fastmlp", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("fastmlp")


@pytest.fixture(autouse=True)
def restored_runtime():
    """Put the thread count and the instruction set back after every test."""
    threads, isa = fastmlp.get_num_threads(), fastmlp.isa()
    yield
    fastmlp.set_num_threads(threads)
    fastmlp.set_isa(isa)
