"""The roofline builds as a project of its own, does what it is asked, and counts it."""

import shutil

import numpy as np
import pytest

import fastmlp
from comparison import roofline

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler"
)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roofline")
    roofline.build(folder)
    return folder / roofline.LIBRARY.name


@pytest.mark.parametrize("isa", [*fastmlp.available_isas(), "unknown"])
@pytest.mark.parametrize("threads", [1, 3])
def test_it_does_at_least_so_many_flops_and_reads_all_numbers(library, isa, threads):
    loops = roofline.Roofline(isa, library)
    for dtype in ("float32", "float64"):
        assert 1e5 <= loops.multiply_add(1e5, dtype, threads) < 1e5 + 1000
    for count in (1, 1000, 4097):
        x = np.arange(count + 1, dtype=np.float32)[1:]
        assert loops.read(x.ctypes.data, count, 5, threads) == 5 * x.sum(dtype=np.float64)


def test_a_failed_build_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="no-such-compiler"):
        roofline.build(tmp_path)
