"""scikit-learn's callbacks, which its version 1.9 brought as an experiment; none in older ones."""

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: there are no callbacks to support."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method as it is."""
        return method


__all__ = ["CallbackSupportMixin", "FitContext", "with_callbacks"]


class FitContext:
    """The tasks of one fit, as the callbacks of an estimator see them: a fit and its epochs."""

    def __init__(self, estimator: Any, X: Any, y: Any, sample_weight: Any) -> None:
        self.estimator = estimator
        self.root = None
        self.epoch: Any = None
        self.data = {"X": X, "y": y}
        if sample_weight is not None:
            self.data["metadata"] = {"sample_weight": sample_weight}
        if hasattr(estimator, "_init_callback_context"):
            self.root = estimator._init_callback_context(max_subtasks=estimator.max_iter)
            self.root.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_epoch(self) -> None:
        """Tell of an epoch's beginning, where anybody listens: a task costs as much as a step."""
        if self.root is not None and getattr(self.estimator, "_skl_callbacks", None):
            self.epoch = self.root.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )

    def end_epoch(self) -> bool:
        """Tell of an epoch's end; whether a callback asks to stop."""
        return self.epoch is not None and bool(
            self.epoch.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )
        )

    def end(self) -> None:
        """Tell of the end of the fit."""
        if self.root is not None:
            self.root.call_on_fit_task_end(
                estimator=self.estimator, **self.data, reconstruction_attributes=self._parameters
            )

    def _parameters(self) -> dict[str, Any]:
        """Return what makes a copy of the estimator one that was fitted until now."""
        return {
            "coefs_": [W.copy() for W in self.estimator.coefs_],
            "intercepts_": [b.copy() for b in self.estimator.intercepts_],
        }
