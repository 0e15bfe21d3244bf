"""The C++ half from outside: its own tests (ctest), projects that find or include it in each way
that CMake knows, and the examples.

`cmake` and `ninja` are those of the `test` extra. What compiles the library anew belongs to the
sweep. One such build serves the C++ tests and the install tree.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.tabular import TabularClassifier

ROOT = Path(__file__).resolve().parents[3]
needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("c++", "g++", "clang++")),
    reason="no C++ compiler on PATH",
)
pytestmark = needs_compiler

CONSUMER_CPP = """
#include <fastmlp/io.hpp>
#include <fastmlp/network.hpp>
#include <fastmlp/runtime.hpp>

#include <cmath>
#include <cstdio>
#include <vector>

int main(int, char** argv) {
  std::vector<float> x(200 * 4), y(200);
  for (int i = 0; i < 800; ++i) x[i] = static_cast<float>(i * 37 % 101) / 50 - 1;
  for (int i = 0; i < 200; ++i) y[i] = x[4 * i] > x[4 * i + 1] ? 1.0F : 0.0F;
  const fastmlp::MatrixView<const float> X(x.data(), 200, 4), Y(y.data(), 200, 1);
  using fastmlp::Activation;
  fastmlp::Network<float> net({4, 9, 7, 1}, {Activation::kGelu, Activation::kTanh});
  net.initialize(/*seed=*/3);
  fastmlp::FitOptions<float> options;
  options.epochs = 30;
  options.batch_size = 16;
  options.dropout = {0.1, 0.0};
  options.validation = fastmlp::ValidationData<float>{X.row_block(0, 50), Y.row_block(0, 50)};
  options.early_stopping = fastmlp::EarlyStopping{3, 1e-4};
  options.schedule = [](std::int64_t epoch, double rate, const fastmlp::EpochLog*) {
    return rate / std::sqrt(1.0 + static_cast<double>(epoch));
  };
  fastmlp::AdamOptions adam;
  adam.weight_decay = 0.01;
  adam.decoupled = true;
  const fastmlp::History history = net.fit(X, Y, adam, options);
  for (const double loss : history.val_loss) std::printf("%a ", loss);
  std::printf("%s\\n", fastmlp::isa().c_str());
  fastmlp::save(net, argv[1]);
  try {  // an exception that crosses the library's border is caught by its type
    net.fit(X, Y, fastmlp::SgdOptions{-1}, options);
  } catch (const std::invalid_argument&) {
  }
  options.should_stop = [] { return true; };
  options.early_stopping.reset();
  options.epochs = 1000000000;
  try {
    net.fit(X, Y, adam, options);
  } catch (const fastmlp::Stopped&) {
    return 0;
  }
  return 1;
}
"""


def consumer_cmake(find: str) -> str:
    return f"""
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES CXX)
{find}
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE fastmlp::fastmlp fastmlp::io)
"""


def run(*command: object, cwd: Path, fails: bool = False) -> str:
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
    assert (done.returncode != 0) == fails, done.stdout[-5000:]
    return done.stdout


def configure(source: Path, *options: str, fails: bool = False) -> str:
    """Configure a project in its folder `build`; what CMake printed."""
    return run("cmake", "-G", "Ninja", "-B", "build", *options, cwd=source, fails=fails)


def build(source: Path, *options: str) -> Path:
    """Configure and build a project; its build folder."""
    configure(source, *options)
    run("cmake", "--build", "build", cwd=source)
    return source / "build"


def write_consumer(folder: Path, find: str) -> None:
    """Write a project that finds the library by these lines of CMake."""
    (folder / "CMakeLists.txt").write_text(consumer_cmake(find))
    (folder / "main.cpp").write_text(CONSUMER_CPP)


def check_consumer(folder: Path, find: str, *options: str) -> Path:
    """Build a project that finds the library like this; it must train to Python's bits."""
    write_consumer(folder, find)
    built = build(folder, *options)
    *losses, isa = run(built / "consumer", folder / "model.safetensors", cwd=folder).split()
    x = (np.arange(800) * 37 % 101).astype(np.float32).reshape(200, 4) / np.float32(50) - 1
    y = (x[:, 0] > x[:, 1]).astype(np.float32)
    network = fastmlp.Network([4, 9, 7, 1], hidden=["gelu", "tanh"], seed=3)
    history = network.fit(
        x,
        y,
        epochs=30,
        batch_size=16,
        dropout=[0.1, 0.0],
        validation_data=(x[:50], y[:50]),
        early_stopping=fastmlp.EarlyStopping(3, min_delta=1e-4),
        schedule=lambda epoch, rate, logs: rate / np.sqrt(1.0 + epoch),
        optimizer=fastmlp.AdamW(weight_decay=0.01),
    )
    assert [float.fromhex(loss) for loss in losses] == history.val_loss
    assert isa in fastmlp.available_isas()
    loaded = fastmlp.Network.load(folder / "model.safetensors")
    assert repr(loaded) == repr(network)
    assert loaded.epochs_trained == network.epochs_trained
    assert loaded.parameters.tobytes() == network.parameters.tobytes()
    network.save(folder / "python.safetensors")
    cpp, python = (folder / f"{name}.safetensors" for name in ("model", "python"))
    assert cpp.read_bytes() == python.read_bytes()
    return built


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """A release build with its tests, and where it is installed."""
    folder = tmp_path_factory.mktemp("release")
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", folder, "-DFASTMLP_TESTS=ON", cwd=folder)
    run("cmake", "--build", folder, cwd=folder)
    run("cmake", "--install", folder, "--prefix", folder / "prefix", cwd=folder)
    return folder


@pytest.mark.sweep
def test_ctest_passes_on_a_release_build(release):
    printed = run("ctest", "--output-on-failure", "-j", "2", cwd=release)
    passed = re.search(r"100% tests passed out of (\d+)|0 tests failed out of (\d+)", printed)
    assert passed, printed[-2000:]
    count = int(passed[1] or passed[2])
    print(f"ctest: {count} passed")
    assert count >= 80


# Each way to the library


FIND = "find_package(fastmlp 0.1 CONFIG REQUIRED COMPONENTS io)"


@pytest.mark.sweep
def test_find_package_from_an_install_tree(release, tmp_path):
    check_consumer(tmp_path, FIND, f"-DCMAKE_PREFIX_PATH={release / 'prefix'}")


@pytest.mark.sweep
def test_find_package_from_the_installed_wheel(tmp_path):
    built = check_consumer(tmp_path, FIND, f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}")
    # One library for Python and C++, not a copy.
    linked = run("cmake", "--build", built, "--clean-first", "--verbose", cwd=tmp_path)
    assert str(Path(fastmlp.get_include()).parent / "lib") in linked


# add_subdirectory is tried with a static library, FetchContent with a shared one.
FROM_SOURCES = {
    "OFF": f'add_subdirectory("{ROOT}" fastmlp)',
    "ON": "include(FetchContent)\n"
    f'FetchContent_Declare(fastmlp SOURCE_DIR "{ROOT}")\n'
    "FetchContent_MakeAvailable(fastmlp)",
}


def options_from_sources(shared: str) -> list[str]:
    """The portable kernels alone, without optimisation: they compile in a fraction of the time."""
    options = {"CMAKE_BUILD_TYPE": "Debug", "FASTMLP_SIMD": "OFF", "FASTMLP_IO": "ON"}
    options["FASTMLP_SHARED"] = shared
    return [f"-D{name}={value}" for name, value in options.items()]


@pytest.mark.parametrize("shared", FROM_SOURCES)
def test_add_subdirectory_and_fetch_content_configure(tmp_path, shared):
    """Only the library's own targets are there, none of the tests and of the module."""
    write_consumer(tmp_path, FROM_SOURCES[shared])
    configure(tmp_path, *options_from_sources(shared))
    targets = run("cmake", "--build", "build", "--target", "help", cwd=tmp_path)
    library = "libfastmlp.so" if shared == "ON" else "libfastmlp.a"
    assert re.search(rf"(?m)^{re.escape(library)}: ", targets) or sys.platform != "linux"
    assert not re.search(r"_core|fastmlp_tests", targets)


@pytest.mark.sweep
@pytest.mark.parametrize("shared", FROM_SOURCES)
def test_add_subdirectory_and_fetch_content_build(tmp_path, shared):
    built = check_consumer(tmp_path, FROM_SOURCES[shared], *options_from_sources(shared))
    made = {path.name for path in built.rglob("*") if path.is_file()}
    assert not {name for name in made if re.search(r"^_core|fastmlp_tests|fastmlpConfig", name)}
    assert ("libfastmlp.a" in made, "libfastmlp.so.0.1.0" in made) == (
        shared == "OFF",
        shared == "ON",
    ) or sys.platform != "linux"


# What a parent project may ask for and the library must not follow, or must stand.
ADVERSE_PARENT = """
set(CMAKE_UNITY_BUILD ON)
set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
set(CMAKE_POSITION_INDEPENDENT_CODE OFF)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_FLAGS "-Ofast -ffast-math -fno-exceptions")
set(CMAKE_EXE_LINKER_FLAGS "-static")
"""


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform != "linux", reason="GCC's options, and a static C library")
def test_a_parent_project_with_adverse_settings_gets_the_same_bits(tmp_path):
    """In a folder whose name has a space, with no build type."""
    folder = tmp_path / "a parent"
    folder.mkdir()
    # The program itself needs exceptions, and must compute the data that Python computes.
    options = "-fexceptions;-fno-fast-math"
    own = f'set_source_files_properties(main.cpp PROPERTIES COMPILE_OPTIONS "{options}")'
    find = f"{ADVERSE_PARENT}{own}\n{FROM_SOURCES['OFF']}"
    check_consumer(folder, find, "-DFASTMLP_IO=ON", "-DFASTMLP_SIMD=OFF")


SKBUILD_PYPROJECT = """
[build-system]
requires = ["scikit-build-core", "pybind11", "fastmlp"]
build-backend = "scikit_build_core.build"
[project]
name = "consumer"
version = "1"
"""
SKBUILD_CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(consumer LANGUAGES CXX)
find_package(fastmlp CONFIG REQUIRED)
find_package(pybind11 CONFIG REQUIRED)
pybind11_add_module(consumer main.cpp)
target_link_libraries(consumer PRIVATE fastmlp::fastmlp)
set_target_properties(consumer PROPERTIES INSTALL_RPATH "$ORIGIN/fastmlp/lib")
install(TARGETS consumer DESTINATION .)
"""
SKBUILD_CPP = """
#include <fastmlp/network.hpp>
#include <pybind11/pybind11.h>

PYBIND11_MODULE(consumer, module) {
  module.def("first_weight", [](std::uint64_t seed) {
    fastmlp::Network<double> net({3, 1});
    net.initialize(seed);
    return net.parameters()[0];
  });
}
"""


@pytest.mark.sweep
def test_another_scikit_build_core_project_finds_it(tmp_path):
    """By the entry point alone: nothing tells CMake where the package is."""
    (tmp_path / "pyproject.toml").write_text(SKBUILD_PYPROJECT)
    (tmp_path / "CMakeLists.txt").write_text(SKBUILD_CMAKE)
    (tmp_path / "main.cpp").write_text(SKBUILD_CPP)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-w", "dist"]
    run(*pip, ".", cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "unpacked", "zip")
    code = f"""
import sys, fastmlp
sys.path.insert(0, {str(tmp_path / "unpacked")!r})
import consumer
assert consumer.first_weight(5) == fastmlp.Network([3, 1], dtype="float64", seed=5).parameters[0]
"""
    run(sys.executable, "-c", code, cwd=tmp_path)


# What goes wrong


def configure_fails(tmp_path: Path, find: str, *options: str) -> str:
    write_consumer(tmp_path, find)
    return configure(tmp_path, *options, fails=True)


def test_another_minor_version_is_refused_before_1_0(tmp_path):
    printed = configure_fails(
        tmp_path,
        "find_package(fastmlp 0.2 CONFIG REQUIRED)",
        f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}",
    )
    assert "0.1.0" in printed


def test_without_nlohmann_json_cmake_says_how_to_install_it(tmp_path):
    printed = configure_fails(
        tmp_path,
        FIND,
        f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}",
        "-DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON",
    )
    assert "nlohmann-json3-dev" in printed


def test_an_unknown_component_is_refused(tmp_path):
    printed = configure_fails(
        tmp_path,
        "find_package(fastmlp 0.1 CONFIG REQUIRED COMPONENTS training)",
        f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}",
    )
    assert "training" in printed


@pytest.mark.parametrize(
    "find", [FROM_SOURCES["OFF"], FROM_SOURCES["ON"], "find_package(fastmlp REQUIRED CONFIG)"]
)
def test_a_project_of_c_alone_is_refused(tmp_path, find):
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nproject(parent LANGUAGES C)\n{find}\n"
    )
    printed = configure(tmp_path, f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}", fails=True)
    assert "project(parent LANGUAGES C CXX)" in " ".join(printed.split())


def test_get_include_has_the_headers():
    assert (Path(fastmlp.get_include()) / "fastmlp" / "network.hpp").is_file()


# Examples


@pytest.mark.sweep
def test_the_examples_build_and_run_as_their_readme_says(tmp_path):
    source = tmp_path / "examples"
    shutil.copytree(ROOT / "examples" / "cpp", source)
    built = build(source, f"-Dfastmlp_ROOT={Path(fastmlp.get_include()).parent}")
    printed = run(built / "xor", "xor.safetensors", cwd=source)
    assert re.search(r"0 xor 1 = (0\.9|1\.0)", printed), printed
    model = fastmlp.Network.load(source / "xor.safetensors")
    printed = run(built / "predict", "xor.safetensors", cwd=source).split("\n")
    assert np.float32(printed[0]) == model.forward([0.5, 0.5])[0]
    assert "median" in printed[1]

    X, y = fastmlp.datasets.load_breast_cancer()
    header = ",".join([f"x{j}" for j in range(30)] + ["y"])
    np.savetxt(source / "table.csv", np.c_[X, y], delimiter=",", header=header, comments="")
    printed = run(built / "train_csv", "table.csv", cwd=source)
    right, rows = map(int, re.search(r"(\d+) of (\d+) validation rows", printed).groups())
    assert right > 0.9 * rows
    for text, message in (
        ("a,b\n1,0\n2,red\n", 'line 3, column 2: "red" is not a number'),
        ("a,b\n,0\n", 'line 2, column 1: "" is not a number'),
        ("a,b\n1,nan\n", 'line 2, column 2: "nan" is not a number'),
        ("a,b\r\n1,1\r\n2\r\n", "line 3 has 1 columns; the first line has 2"),
        ("a,b\n1,2\n", "line 2: the last column is not 0 or 1"),
        ("a,b\n1,1\n", "fewer than 5 rows"),
    ):
        (source / "wrong.csv").write_text(text, newline="")
        assert f"wrong.csv: {message}" in run(
            built / "train_csv", "wrong.csv", cwd=source, fails=True
        )

    table = {"size": [1, 2, 3, 7, 8, 9] * 10, "color": ["red", "", "blue"] * 20}
    labels = ["small" if size < 5 else "large" for size in table["size"]]
    TabularClassifier(hidden=(8,), n_members=2).fit(table, labels).save(source / "size.safetensors")
    (source / "sizes.csv").write_text("color,size,other\nred,2,x\n,8,y\ngreen,,z\n")
    printed = run(built / "predict_table", "size.safetensors", "sizes.csv", cwd=source).split("\n")
    assert [line.split(" ")[0] for line in printed[:2]] == ["small", "large"]

    export = [sys.executable, "-m", "fastmlp", "export"]
    run(*export, "xor.safetensors", "--cpp", "xor_model.hpp", cwd=source)
    run("c++", "-std=c++17", "-O2", "exported.cpp", "-o", "exported", cwd=source)
    assert run("./exported", cwd=source).split("\n")[0] == "0 xor 0 = 0.000"
