#!/usr/bin/env python3
"""The C++ library on other systems: `python3 tests/check_systems.py [SYSTEM ...]`, by default all.

musl     Zig's Clang for x86-64 Linux with musl; the tests run here
windows  Zig's Clang for Windows; the tests run under Wine
mingw    MinGW's GCC for Windows, with OpenMP; the tests run under Wine
macos    Zig's Clang for macOS on ARM; links the library and its tests, and runs nothing

Runs on Debian and Ubuntu, x86-64. It needs `apt install doctest-dev nlohmann-json3-dev`, `wine` for
Windows and `g++-mingw-w64-x86-64-posix` for mingw, and installs Zig, CMake and Ninja from PyPI into
build/systems. Whatever runs compares the golden digests of tests/golden.json too.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "systems"
TOOLS = ["ziglang==0.17.1", "cmake", "ninja"]
SYSTEMS = ["musl", "windows", "mingw", "macos"]
# GCC's DLLs, which programs that MinGW has linked need.
DLLS = ["/usr/lib/gcc/x86_64-w64-mingw32/*-posix", "/usr/x86_64-w64-mingw32/lib"]


def run(*command: object) -> str:
    """Run a command and return its output; exit if it fails."""
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")
    return done.stdout


def copy_headers(folder: Path) -> list[str]:
    """Copy doctest and nlohmann-json out of /usr/include, whose other headers are this system's.

    Returns CMake's options that find them.
    """
    options = []
    for name, include in [("doctest", "doctest"), ("nlohmann_json", "nlohmann")]:
        package = next(Path("/usr").glob(f"*/cmake/{name}"), None)
        if package is None:
            raise SystemExit("this needs: apt install doctest-dev nlohmann-json3-dev")
        shutil.copytree(f"/usr/include/{include}", folder / "include" / include, dirs_exist_ok=True)
        copied = folder / "lib" / "cmake" / name
        shutil.copytree(package, copied, dirs_exist_ok=True)
        targets = copied / f"{name}Targets.cmake"
        text = targets.read_text().replace('_IMPORT_PREFIX "/usr"', f'_IMPORT_PREFIX "{folder}"')
        targets.write_text(text)
        options.append(f"-D{name}_DIR={copied}")
    return options


def check(system: str, headers: list[str]) -> None:
    """Build the library with its tests for this system, and run them if anything here can."""
    toolchain = [f"--toolchain={ROOT}/cmake/mingw.cmake"]
    if system != "mingw":
        (zig,) = FOLDER.glob("venv/lib/*/site-packages/ziglang/zig")
        toolchain = [f"--toolchain={ROOT}/cmake/zig.cmake", f"-DZIG={zig}"]
        toolchain += [f"-DFASTMLP_SYSTEM={system}", "-DFASTMLP_OPENMP=OFF"]
        toolchain += ["-DCMAKE_CXX_COMPILER_LAUNCHER="]  # Zig has a cache of its own
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DFASTMLP_TESTS=ON", "-DFASTMLP_WERROR=ON"]
    built = FOLDER / system
    run("cmake", "-G", "Ninja", "-S", ROOT, "-B", built, *toolchain, *options, *headers)
    run("cmake", "--build", built)
    if system == "macos":
        print("macos: built; nothing here can run it")
        return
    printed = run("ctest", "--test-dir", built, "-j", "2", "--output-on-failure")
    print(f"{system}:", next(line for line in printed.splitlines() if "tests passed" in line))


def main() -> None:
    systems = sys.argv[1:] or SYSTEMS
    if unknown := set(systems) - set(SYSTEMS):
        raise SystemExit(f"{', '.join(sorted(unknown))}: unknown\n\n{__doc__}")
    scripts = FOLDER / "venv" / "bin"
    if not scripts.is_dir():
        venv.create(FOLDER / "venv", with_pip=True)
    run(scripts / "python", "-m", "pip", "install", "-q", *TOOLS)
    dlls = [str(path) for pattern in DLLS for path in Path("/").glob(pattern[1:])]
    os.environ |= {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "WINEPREFIX": str(FOLDER / "wine"),
        "WINEDEBUG": "-all",
        "WINEPATH": ";".join(dlls),
    }
    headers = copy_headers(FOLDER / "headers")
    for system in systems:
        check(system, headers)


if __name__ == "__main__":
    main()
