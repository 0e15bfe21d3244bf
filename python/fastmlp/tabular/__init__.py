"""From a data frame to predictions: `TabularClassifier` and `TabularRegressor`.

Both take tables with numbers, categories, dates and missing values, scale and encode them, train
one or several networks with settings chosen by the table's size, and keep in one file what new
rows need.
"""

from fastmlp.tabular._encoder import ColumnSummary
from fastmlp.tabular._estimator import TabularClassifier, TabularRegressor, load
from fastmlp.tabular._members import Progress

__all__ = ["ColumnSummary", "Progress", "TabularClassifier", "TabularRegressor", "load"]
