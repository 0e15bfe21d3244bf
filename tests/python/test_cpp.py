"""The C++ half from here: its own tests (ctest), and a CMake project that uses the installed one.

`cmake` and `ninja` are those of the `test` extra.
"""

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import fastmlp

ROOT = Path(__file__).resolve().parents[2]

CONSUMER_CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES CXX)
find_package(fastmlp 0.1 CONFIG REQUIRED)
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE fastmlp::fastmlp)
"""
CONSUMER_CPP = """
#include <fastmlp/network.hpp>
#include <fastmlp/runtime.hpp>

#include <cstdio>
#include <vector>

int main() {
  fastmlp::Network<float> net({4, 5, 1});  // ReLU, sigmoid
  net.initialize(/*seed=*/3);
  std::vector<float> x(8, 0.5f), y(2, 1.0f), out(2);
  const fastmlp::MatrixView<const float> X(x.data(), 2, 4), Y(y.data(), 2, 1);
  const double loss = net.step(X, Y, 0.1);
  net.forward(X, fastmlp::MatrixView<float>(out.data(), 2, 1));
  std::printf("%a %a %s\\n", loss, out[0], fastmlp::isa().c_str());
}
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command with the scripts of this environment first on PATH; what it printed."""
    scripts = sysconfig.get_path("scripts")
    environment = os.environ | {"PATH": scripts + os.pathsep + os.environ["PATH"]}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def test_ctest_passes_on_a_release_build(tmp_path):
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", tmp_path, "-DFASTMLP_TESTS=ON", cwd=tmp_path)
    run("cmake", "--build", tmp_path, cwd=tmp_path)
    printed = run("ctest", "--output-on-failure", cwd=tmp_path)
    passed = re.search(r"100% tests passed out of (\d+)|0 tests failed out of (\d+)", printed)
    assert passed, printed[-2000:]
    count = int(passed[1] or passed[2])
    print(f"ctest: {count} passed")
    assert count >= 35


def test_a_cmake_project_finds_the_installed_package_and_gets_pythons_bits(tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(CONSUMER_CMAKE)
    (tmp_path / "main.cpp").write_text(CONSUMER_CPP)
    build = tmp_path / "build"
    run(
        "cmake",
        "-G",
        "Ninja",
        "-S",
        tmp_path,
        "-B",
        build,
        f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}",
        cwd=tmp_path,
    )
    run("cmake", "--build", build, cwd=tmp_path)
    loss, out, isa = run(build / "consumer", cwd=tmp_path).split()
    network = fastmlp.Network([4, 5, 1], seed=3)
    X = [[0.5] * 4] * 2
    assert float.fromhex(loss) == network.step(X, [1, 1], 0.1)
    assert float.fromhex(out) == float(network.forward(X)[0, 0])
    assert isa in fastmlp.available_isas()


def test_get_include_has_the_headers():
    assert (Path(fastmlp.get_include()) / "fastmlp" / "network.hpp").is_file()
