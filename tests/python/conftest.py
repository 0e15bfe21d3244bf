"""What all tests share: threads that really run, settings put back, what belongs to the sweep.

A plain `pytest` leaves out the tests marked `sweep`; `pytest -m sweep` runs only these and
`pytest -m ""` runs everything. A random test is in both: a plain `pytest` tries a fifth of its
examples, the sweep tries all of them. If it fails, it prints a `@reproduce_failure` line. With the
environment variable `CI` set the examples are always the same ones.
"""

import os
import signal
from collections import defaultdict

# A shell that starts the tests in the background has SIGINT ignored, also by them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read once, when the core is first used: also the smallest piece of work then gets its threads.
os.environ.setdefault("FASTMLP_MIN_WORK", "0")
# Threads that wait spin for microseconds and then sleep: in teams larger than the machine, of which
# there are many here, a spinning thread keeps a processor from one that has work.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
# NumPy's products are small here, and its second thread would spin for as long as they take.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")  # no window opens

import pytest
from hypothesis import is_hypothesis_test, settings

import fastmlp

for profile, examples in (("fastmlp", 20), ("sweep", 100)):
    settings.register_profile(
        profile,
        deadline=None,
        print_blob=True,
        derandomize=bool(os.environ.get("CI")),
        max_examples=examples,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of random examples before the tests are imported."""
    settings.load_profile("sweep" if has_sweep(config) else "fastmlp")


def has_sweep(config: pytest.Config) -> bool:
    """Whether the command line asks for the sweep: `-m sweep`, or `-m ""` for everything."""
    return config.option.markexpr in ("sweep", "")


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what `-m` does not select
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mark_sparse_combinations(items)
    if has_sweep(config):
        for item in items:
            if is_hypothesis_test(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.sweep)


def mark_sparse_combinations(items: list[pytest.Item]) -> None:
    """Of a test marked `sparse`, mark each combination as a sweep that brings no new value."""
    combinations: dict[tuple, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("sparse"):
            combinations[item.path, item.originalname].append(item)
    for group in combinations.values():
        seen: set[tuple] = set()
        kept: set[pytest.Function] = set()
        # First take combinations in which every value is new: that way fewer are taken in all.
        for enough in (all, any):
            for item in group:
                values = values_of(item)
                if not values or enough(value not in seen for value in values):
                    seen |= values
                    kept.add(item)
        for item in set(group) - kept:
            item.add_marker(pytest.mark.sweep)


def values_of(item: pytest.Function) -> set[tuple]:
    """The value that each `parametrize` of a test has in this item."""
    values = set()
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        names = tuple(name.strip() for name in names)
        # A value may be an array, which has no hash; all items share the same object.
        values.add((names, tuple(id(item.callspec.params[name]) for name in names)))
    return values


@pytest.fixture(autouse=True)
def restored_runtime():
    """Put the thread count and the instruction set back after every test."""
    threads, isa = fastmlp.get_num_threads(), fastmlp.isa()
    yield
    fastmlp.set_num_threads(threads)
    fastmlp.set_isa(isa)
