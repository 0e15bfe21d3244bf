"""Modes of the processor's register that controls rounding and denormals, set through libm."""

import contextlib
import ctypes
import ctypes.util
import platform
from collections.abc import Iterator

# fenv_t of glibc and musl: where the register is, its bits for rounding, and its bits that flush
# denormals to zero. x86-64: MXCSR, FTZ and DAZ; AArch64: FPCR, FZ.
LAYOUTS = {
    "x86_64": (28, {"up": 0x4000, "down": 0x2000, "zero": 0x6000}, 0x8040),
    "aarch64": (0, {"up": 1 << 22, "down": 2 << 22, "zero": 3 << 22}, 1 << 24),
}
X87_CONTROL = {"up": 0x0800, "down": 0x0400, "zero": 0x0C00}  # at offset 0, on x86-64 only


# The names that `float_mode` takes here; none where fenv_t is unknown.
KNOWN = platform.system() == "Linux" and platform.machine() in LAYOUTS
MODES = ("up", "down", "zero", "flush") if KNOWN else ()


@contextlib.contextmanager
def float_mode(name: str) -> Iterator[None]:
    """Round up, down or to zero on this thread, or flush denormals to zero."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    offset, roundings, flush = LAYOUTS[platform.machine()]
    before = ctypes.create_string_buffer(64)
    libm.fegetenv(before)
    inside = ctypes.create_string_buffer(before.raw, 64)
    ctypes.c_uint32.from_buffer(inside, offset).value |= roundings.get(name, flush)
    if offset:
        ctypes.c_uint16.from_buffer(inside, 0).value |= X87_CONTROL.get(name, 0)
    libm.fesetenv(inside)
    try:
        yield
    finally:
        libm.fesetenv(before)
