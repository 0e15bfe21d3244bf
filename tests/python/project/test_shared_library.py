"""What the installed shared libraries ask of a process that loads them."""

import struct
import sys
from pathlib import Path

import pytest

from fastmlp import _core

PACKAGE = Path(_core.__file__).parent
DT_FLAGS, DF_STATIC_TLS = 30, 0x10
PT_DYNAMIC = 2


def dynamic_entries(path: Path) -> dict[int, int]:
    """The dynamic section of a 64-bit little-endian ELF file, as `readelf -d` shows it."""
    data = path.read_bytes()
    assert data[:6] == b"\x7fELF\x02\x01"
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for start in range(table, table + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", data, start)
        if kind == PT_DYNAMIC:
            return dict(struct.iter_unpack("<QQ", data[offset : offset + length]))
    raise AssertionError(f"{path} has no dynamic section")


@pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")
@pytest.mark.parametrize("pattern", ["_core*.so", "lib/libfastmlp.so*"])
def test_a_shared_library_needs_no_room_in_the_static_tls_block(pattern):
    # glibc has little of it for libraries that dlopen() loads, musl none.
    paths = sorted(PACKAGE.glob(pattern))
    assert paths
    for path in paths:
        entries = dynamic_entries(path)
        assert entries
        assert not entries.get(DT_FLAGS, 0) & DF_STATIC_TLS, path.name
