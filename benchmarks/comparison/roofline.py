"""Builds the library of `benchmarks/roofline/` and calls it."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "roofline"
BUILD = SOURCE.parents[1] / "build" / "roofline"
LIBRARY = BUILD / "libroofline.so"


def build(folder: Path = BUILD) -> None:
    """Compile the library into a folder, with the CMake and the compiler that are found.

    Raises
    ------
    RuntimeError
        If CMake or the compiler is missing or fails; the message is theirs.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    cmake, ninja = (shutil.which(name, path=path) for name in ("cmake", "ninja"))
    if cmake is None:
        raise RuntimeError("there is no cmake")
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    configure = ["-S", str(SOURCE), "-B", str(folder), *generator]
    for command in (configure, ["--build", str(folder)]):
        done = subprocess.run([cmake, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout).strip())


class Roofline:
    """The loops that no library can beat.

    Parameters
    ----------
    isa : str
        The instruction set, as `fastmlp.isa()` calls it.
    library : Path
    """

    def __init__(self, isa: str, library: Path = LIBRARY) -> None:
        self.isa = isa.encode()
        self.library = ctypes.CDLL(str(library))
        number, integer, size = ctypes.c_double, ctypes.c_int, ctypes.c_ssize_t
        self.library.multiply_add.restype = self.library.read_floats.restype = number
        self.library.multiply_add.argtypes = [ctypes.c_char_p, integer, number, integer]
        self.library.read_floats.argtypes = [ctypes.c_char_p, ctypes.c_void_p, size, size, integer]

    def multiply_add(self, flops: float, dtype: str, threads: int) -> float:
        """Do so many floating-point operations as multiply-adds in registers.

        Returns
        -------
        float
            The number that was done: whole rounds of some hundred.
        """
        done: float = self.library.multiply_add(self.isa, dtype == "float32", flops, threads)
        return done

    def read(self, address: int, count: int, times: int, threads: int) -> float:
        """Read float32 numbers so many times.

        Returns
        -------
        float
            Their sum, for each time that they were read.
        """
        total: float = self.library.read_floats(self.isa, address, count, times, threads)
        return total
