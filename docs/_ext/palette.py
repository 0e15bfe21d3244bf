"""The colours of the pictures in furo's light and dark theme."""

from typing import NamedTuple


class Palette(NamedTuple):
    """Colours of one theme; those of data are those of fastmlp.plot, safe for the colour-blind."""

    name: str
    ink: str
    muted: str  # secondary text, arrows
    faint: str  # grids
    paper: str  # the inside of boxes
    blue: str
    orange: str
    green: str
    pink: str
    sky: str
    amber: str


LIGHT = Palette(
    name="light",
    ink="#1f2328",
    muted="#6a737d",
    faint="#e1e4e8",
    paper="#f8f9fb",
    blue="#0072b2",
    orange="#c75300",
    green="#00805d",
    pink="#b0558a",
    sky="#56b4e9",
    amber="#e69f00",
)
DARK = Palette(
    name="dark",
    ink="#dfe4ea",
    muted="#9aa4af",
    faint="#30363d",
    paper="#1c2027",
    blue="#5cb8f0",
    orange="#f5924e",
    green="#43c79c",
    pink="#e59ac6",
    sky="#9fd8ff",
    amber="#ffcf66",
)
