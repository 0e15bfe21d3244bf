"""Atheris: any bytes are a file for Python's reader. README.md has the commands.

If FASTMLP_FUZZ_READER names the library that reader.cpp makes, the C++ reader gets the same bytes,
and both must give the same answer.
"""

import ctypes
import io
import os
import sys

import atheris

with atheris.instrument_imports(include=["json", "fastmlp.formats"]):
    import json  # noqa: F401

    import fastmlp
    from fastmlp.formats.network_file import network_parts, read

CAPACITY = 1 << 20
reader = os.environ.get("FASTMLP_FUZZ_READER")
library = ctypes.CDLL(reader) if reader else None
if library:
    library.fastmlp_read.restype = ctypes.c_size_t
    library.fastmlp_read.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
out = ctypes.create_string_buffer(CAPACITY)


def answer(content: bytes) -> bytes:
    """What `save` would write for the network in a file; nothing if the file is refused."""
    try:
        network = read(fastmlp.Network, io.BytesIO(content))
    except ValueError:
        return b""
    return b"".join(bytes(part) for part in network_parts(network))


def test_one_input(content: bytes) -> None:
    found = answer(content)
    if found and answer(found) != found:
        raise AssertionError("what was saved is not read back")
    if library:
        size = library.fastmlp_read(content, len(content), out, CAPACITY)
        if out.raw[:size] != found:
            raise AssertionError(f"the readers disagree: Python {found!r}, C++ {out.raw[:size]!r}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
