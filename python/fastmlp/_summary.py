"""`Network.summary()`: the layers of a network as a table."""

import itertools
from typing import Any


class Text(str):
    """A text that a Python prompt shows as it is printed."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summary(network: Any) -> Text:
    """Return the layers, parameters, bytes and multiply-adds of a network."""
    pairs = list(itertools.pairwise(network.layers))
    names = [*network.hidden, network.output]
    rows = [("layer", "units", "activation", "parameters", "multiply-adds")]
    rows.append(("input", str(network.layers[0]), "", "", ""))
    for number, ((n_in, n_out), name) in enumerate(zip(pairs, names, strict=True), start=1):
        rows.append((str(number), str(n_out), name, f"{(n_in + 1) * n_out:,}", f"{n_in * n_out:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{network.n_parameters:,} parameters of {network.dtype} in "
        f"{_bytes(network.n_parameters * network.dtype.itemsize)}; "
        f"{sum(n_in * n_out for n_in, n_out in pairs):,} multiply-adds a row",
        "",
    ]
    for row in rows:
        cells = (
            cell.ljust(width) if place in (0, 2) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return Text("\n".join(lines))


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
