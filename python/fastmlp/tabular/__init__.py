"""From a data frame to predictions: `TabularClassifier` and `TabularRegressor`.

Both take tables with numbers, categories, dates and missing values, scale and encode them, and
train one or several networks with settings that suit the size of the table. One file holds
everything that is needed to predict new rows.
"""

from fastmlp.tabular._encoder import ColumnSummary
from fastmlp.tabular._estimator import TabularClassifier, TabularRegressor, load
from fastmlp.tabular._members import Progress

__all__ = ["ColumnSummary", "Progress", "TabularClassifier", "TabularRegressor", "load"]
