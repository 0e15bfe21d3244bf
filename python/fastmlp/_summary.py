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
    rows = layer_rows(network)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [headline(network), ""]
    for row in rows:
        cells = (
            cell.ljust(width) if place in (0, 2) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    return Text("\n".join(lines))


def headline(network: Any) -> str:
    """Return the sums over all layers."""
    return (
        f"{network.n_parameters:,} parameters of {network.dtype} in "
        f"{_bytes(network.n_parameters * network.dtype.itemsize)}; "
        f"{sum(a * b for a, b in itertools.pairwise(network.layers)):,} multiply-adds a row"
    )


def layer_rows(network: Any) -> list[tuple[str, ...]]:
    """Return the names of the columns, and a row for each layer."""
    rows: list[tuple[str, ...]] = [("layer", "units", "activation", "parameters", "multiply-adds")]
    rows.append(("input", str(network.layers[0]), "", "", ""))
    pairs, names = itertools.pairwise(network.layers), [*network.hidden, network.output]
    for number, ((n_in, n_out), name) in enumerate(zip(pairs, names, strict=True), start=1):
        rows.append((str(number), str(n_out), name, f"{(n_in + 1) * n_out:,}", f"{n_in * n_out:,}"))
    return rows


def _bytes(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
