"""What notebooks show of networks, histories and tabular models: their `_repr_html_`.

The HTML has no script and no style sheet. Text has the colour that the notebook gives it, so it can
be read in light and dark themes. Names are escaped. Start at `network_html`.
"""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from fastmlp._summary import headline, layer_rows

MOST_ROWS = 30  # of a table
MOST_NAMES = 100  # of features or classes
MOST_POINTS = 200  # of a curve
# The contrast of both is above 3 to white, and larger to black.
COLORS = {"training": "#2f8fd0", "validation": "#d9772b"}


def network_html(network: Any) -> str | None:
    """Return a table of the layers; None if the constructor of the network has failed."""
    try:
        trained = f"{network.epochs_trained:,} epochs trained"
        parts = [
            _title(type(network).__name__, "-".join(map(str, network.layers))),
            _line(f"{headline(network)}; {trained}"),
            _table(layer_rows(network)),
            _names("features", network.feature_names),
            _names("classes", network.classes),
        ]
    except (AttributeError, RuntimeError, ValueError):  # the last if the metadata are no JSON
        return None
    return _page(parts)


def history_html(history: Any) -> str:
    """Return the curves of the losses, and the numbers of the best and of the last epoch."""
    columns = {"loss": history.loss, "val_loss": history.val_loss, **history.metrics}
    columns = {name: values for name, values in columns.items() if values}
    rows = [("", "epoch", *columns)]
    for label, epoch in (("best", history.best_epoch), ("last", len(history.loss) - 1)):
        if epoch is not None and epoch >= 0:
            numbers = (f"{values[epoch]:.4g}" for values in columns.values())
            rows.append((label, str(epoch + 1), *numbers))
    ended = "1 epoch" if history.epochs == 1 else f"{history.epochs} epochs"
    if history.stopped_by != "epochs":
        ended += f", stopped by {history.stopped_by}"
    table = _table(rows) if len(rows) > 1 else ""
    return _page([_title("History", ended), _curves(history), table])


def tabular_html(model: Any) -> str | None:
    """Return the columns and the networks; None if the constructor of the model has failed."""
    try:
        parts = [_line(f"<code>{escape(repr(model))}</code>")]
    except AttributeError:
        return None
    if not model.__sklearn_is_fitted__():
        return _page([*parts, _line("not fitted")])
    network = model.networks[0]  # all have the same layers
    parts.append(
        _line(f"{'-'.join(map(str, network.layers))}: {network.n_parameters:,} parameters")
    )
    rows = [("network", "epochs", "best epoch", f"{model._ERROR} of the rows held out")]
    for number, found in enumerate(model.histories, start=1):
        error = "none held out" if found["val_error"] is None else f"{found['val_error']:.4g}"
        rows.append((str(number), str(found["epochs"]), str(found["best_epoch"]), error))
    parts += [_table(rows), _names("classes", getattr(model, "classes_", None))]
    columns = [(one.name, str(one.inputs), one.description) for one in model.columns()]
    return _page([*parts, _table([("column", "inputs", ""), *columns])])


def _page(parts: Iterable[str]) -> str:
    return f"<div>{''.join(parts)}</div>"


def _title(name: str, text: str) -> str:
    return _line(f"<b>{escape(name)}</b> {escape(text)}")


def _line(html: str) -> str:
    return f'<div style="margin:0.2em 0">{html}</div>'


def _names(what: str, names: Iterable[Any] | None) -> str:
    """Return the number of names; a click on it shows the names."""
    if names is None:
        return ""
    texts = [str(name) for name in names]
    shown = ", ".join(texts[:MOST_NAMES]) + (", …" if len(texts) > MOST_NAMES else "")
    return f"<details><summary>{len(texts)} {what}</summary>{escape(shown)}</details>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the first row has the names of the columns."""
    names, *others = rows
    if len(others) > MOST_ROWS:
        others = [*others[: MOST_ROWS // 2], ["…"] * len(names), *others[-MOST_ROWS // 2 :]]
    aligned = ["right" if _is_number(cell) else "left" for cell in others[-1]]

    def row(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f'<{tag} style="padding:0.1em 0.8em 0.1em 0;text-align:{side}">{escape(cell)}</{tag}>'
            for cell, side in zip(cells, aligned, strict=True)
        )

    body = "\n".join(f"<tr>{row('td', cells)}</tr>" for cells in others)
    return (
        '<table style="border-collapse:collapse;margin:0.4em 0">'
        f"<thead><tr>{row('th', names)}</tr></thead><tbody>\n{body}\n</tbody></table>"
    )


def _is_number(text: str) -> bool:
    return text.replace(",", "")[-1:].isdigit()


def _curves(history: Any) -> str:
    """Return a drawing of the losses; nothing for fewer than two epochs."""
    curves = {"training": history.loss, "validation": history.val_loss}
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    if len(history.loss) < 2 or not finite:
        return ""
    low, high = min(finite), max(finite)
    step = -(-len(history.loss) // MOST_POINTS)
    parts = [
        '<svg width="440" height="140" viewBox="0 0 440 140" fill="currentColor" font-size="11" '
        'role="img" aria-label="loss by epoch">'
        '<path d="M60 10V110H430" stroke="currentColor" stroke-opacity="0.4" fill="none"/>'
        f'<text x="54" y="15" text-anchor="end">{high:.3g}</text>'
        f'<text x="54" y="112" text-anchor="end">{low:.3g}</text>'
        '<text x="60" y="126">1</text><text x="245" y="126" text-anchor="middle">epoch</text>'
        f'<text x="430" y="126" text-anchor="end">{len(history.loss)}</text>'
    ]
    for place, (name, values) in enumerate(curves.items()):
        points = " ".join(
            f"{60 + 370 * epoch / (len(values) - 1):.1f},"
            f"{110 - (value - low) / (high - low or 1.0) * 100:.1f}"
            for epoch, value in list(enumerate(values))[::step]
            if math.isfinite(value)
        )
        if points:
            color, y = COLORS[name], 20 + 16 * place
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>'
                f'<path d="M330 {y - 4}h18" stroke="{color}" stroke-width="3"/>'
                f'<text x="354" y="{y}">{name} loss</text>'
            )
    return "".join([*parts, "</svg>"])
