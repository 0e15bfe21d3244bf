"""Arrays for tests: awkward shapes, values and layouts in memory. Everything follows from a seed.

A layout takes an array and returns one with the same values (`BROADCAST` alone repeats a part of
them) in memory of its own, where it lies differently.
"""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

import fastmlp

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65)
THREADS = (1, 2, 4)
DTYPES = ("float32", "float64")


def examples(count):
    """Settings of a random test: `count` examples in the sweep, a fifth of them by default."""
    return settings(max_examples=count * settings.default.max_examples // 100)


sizes = st.sampled_from(SIZES)
seeds = st.integers(0, 2**32 - 1)


def small_integers(rng, shape, dtype=np.float64):
    """From -4 to 4: the same values in every dtype that has signs."""
    return rng.integers(-4, 5, shape).astype(dtype)


def numbers(rng, shape, dtype):
    """Of many magnitudes, both signs, some of them +0 and -0."""
    values = rng.standard_normal(shape) * 2.0 ** rng.integers(-12, 6, shape)
    values = np.where(rng.random(shape) < 0.1, np.copysign(0.0, values), values)
    return np.asarray(values, dtype=dtype)


def special_numbers(rng, shape, dtype):
    """Numbers among which NaN, infinities, the largest and the smallest are frequent."""
    info = np.finfo(dtype)
    special = [0.0, np.nan, np.inf, info.max, info.tiny, info.smallest_subnormal, 1.0, 100.0, 800.0]
    chosen = np.array(special, dtype=dtype)[rng.integers(0, len(special), shape)]
    chosen = np.where(rng.random(shape) < 0.5, -chosen, chosen)
    return np.asarray(np.where(rng.random(shape) < 0.5, chosen, numbers(rng, shape, dtype)), dtype)


# Layouts


def _copy(array):
    return np.array(array, order="C")


def _fill(view, array):
    view[...] = array
    return view


def fortran(array):
    return np.array(array, order="F")


def transposed(array):
    return _copy(array.T).T


def stepped(array):
    """Every second row and every third column of something larger."""
    steps = (2, 3, 2)[: array.ndim]
    parent = np.full([n * step + 1 for n, step in zip(array.shape, steps, strict=True)], np.nan)
    window = tuple(slice(1, None, step) for step in steps)
    return _fill(_like(parent, array)[window], array)


def inner(array):
    """A window of something larger, as a slice without steps is."""
    parent = np.full([n + 3 for n in array.shape], np.nan)
    return _fill(_like(parent, array)[tuple(slice(1, n + 1) for n in array.shape)], array)


def backwards(array):
    """Negative strides along every axis."""
    flip = (slice(None, None, -1),) * array.ndim
    return _copy(array[flip])[flip]


def backwards_rows(array):
    return _copy(array[::-1])[::-1]


def misaligned(array):
    memory = np.zeros(array.nbytes + 1, dtype=np.uint8)
    return _fill(memory[1:].view(array.dtype).reshape(array.shape), array)


def odd_strides(array):
    """A field of packed records, whose strides are no multiple of the item's size."""
    record = np.dtype([("value", array.dtype), ("after", np.uint8)])  # the first one is aligned
    return _fill(np.zeros(array.shape, dtype=record)["value"], array)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def broadcast(array):
    """The first row for all rows, by a stride of zero."""
    return np.broadcast_to(_copy(array[:1]), array.shape)


def broadcast_columns(array):
    """The first column for all columns, by a stride of zero."""
    return np.broadcast_to(_copy(array[..., :1]), array.shape)


def other_byte_order(array):
    return array.astype(array.dtype.newbyteorder())


def _like(parent, array):
    with np.errstate(invalid="ignore"):  # NaN has no integer
        return parent.astype(array.dtype)


# What the core takes in place, in any order of memory that it can write to as well.
WRITABLE = {
    "plain": _copy,
    "fortran": fortran,
    "transposed": transposed,
    "stepped": stepped,
    "inner": inner,
    "backwards": backwards,
    "backwards_rows": backwards_rows,
}
SAME_VALUES = {
    **WRITABLE,
    "misaligned": misaligned,
    "odd_strides": odd_strides,
    "read_only": read_only,
    "other_byte_order": other_byte_order,
}
BROADCAST = {"broadcast": broadcast, "broadcast_columns": broadcast_columns}
LAYOUTS = {**SAME_VALUES, **BROADCAST}

layouts = st.sampled_from(sorted(LAYOUTS))


def laid_out(array, layout):
    return LAYOUTS[layout](array)


def plain(array, dtype=None):
    """A contiguous copy in the machine's byte order."""
    return np.array(array, dtype=dtype or array.dtype.newbyteorder("="), order="C")


# Comparisons


def around(view):
    """What lies beside the elements of a view in its memory, as bytes."""
    memory = view
    while memory.base is not None:
        memory = memory.base
    before = view.copy()
    view[...] = 7
    outside = memory.tobytes()
    view[...] = before
    return outside


def bits(values):
    """The bytes of the values; every NaN counts as the same one."""
    values = np.array(values)
    if values.dtype.kind == "f":
        values[np.isnan(values)] = np.nan
    return values.dtype.str, values.shape, values.tobytes()


def in_every_setting(call, threads=THREADS):
    """The result of `call()`, sure to have the same bits for all threads and instruction sets."""
    results = {}
    for isa in fastmlp.available_isas():
        fastmlp.set_isa(isa)
        for n in threads:
            with fastmlp.threads(n):
                results[isa, n] = call()
    first = next(iter(results.values()))
    for setting, result in results.items():
        assert bits(result) == bits(first), f"{setting} gives other bits than {next(iter(results))}"
    return first
