"""The settings of a fit, as a function of the table: the one place for all defaults.

The published settings that they follow are those of RealMLP (Holzmüller et al., 2024,
arXiv:2407.04491) and TabM (Gorishniy et al., 2024, arXiv:2410.24210).
"""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How columns are encoded and networks trained."""

    # encoding
    scaling: str  # of numbers: "robust" or "quantile"
    n_bins: int  # of the piecewise linear code of a number; 0 for none
    min_count: int  # the number of rows that a level needs for an input of its own
    max_levels: int
    # networks
    hidden: tuple[int, ...]
    activation: str
    n_members: int
    # training
    epochs: int
    batch_size: int
    learning_rate: float
    beta_2: float  # of AdamW
    weight_decay: float
    dropout: float
    patience: int  # epochs without a lower error of the rows held out, after which a member ends
    holdout: int  # a member holds out one row of so many, or of n_members if they are more; or 0
    # prediction
    temperature: bool  # whether probabilities are scaled by the held-out rows
    clip: bool  # whether predictions stay in the range of the training targets

    def settings(self) -> dict[str, Any]:
        """Return all of it by name."""
        return dataclasses.asdict(self)


def default_recipe(rows: int, numbers: int, is_classifier: bool, loss: str) -> Recipe:
    """Return the recipe for a table of so many rows with so many columns of numbers.

    The values were found by trials on real tables of 1,000 to 54,000 rows. On smaller tables, an
    epoch has so few steps that more epochs are needed.
    """
    n_members = 8 if rows < 5000 else 4
    holdout = 5 if rows >= 50 else 0
    parts = max(holdout, n_members) if holdout else 0
    trained = rows - rows // parts if parts else rows  # by one member
    sizes = ((512, 32), (1024, 64), (8192, 128), (30_000, 256))
    batch_size = next((size for most, size in sizes if trained <= most), 512)
    epochs = min(50, max(20, 240_000 // trained))
    if trained <= 1024:
        epochs = 100 if trained > 400 else 200
    return Recipe(
        scaling="robust",
        # So the first layer stays about 300 wide, if the numbers decide on that.
        n_bins=min(24 if rows <= 20_000 else 48, max(4, 256 // max(1, numbers))),
        min_count=5 if rows >= 1000 else 3,
        max_levels=500,
        hidden=(128, 128, 128),
        activation="relu",
        n_members=n_members,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=0.004,
        beta_2=0.95,
        weight_decay=0.1 if is_classifier else 0.01,
        dropout=0.2 if is_classifier else 0.0,
        patience=epochs // 2,
        holdout=holdout,
        temperature=is_classifier,
        clip=loss == "squared_error",
    )
