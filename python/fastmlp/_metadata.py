"""What a network remembers besides its parameters: texts, names of features, labels of classes."""

from __future__ import annotations  # annotations alone must not import numpy.random

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp._trainable import Array


class MetadataMixin:
    """The properties `metadata`, `feature_names` and `classes`."""

    layers: Any
    output: Any

    @property
    def metadata(self) -> dict[str, str]:
        """Texts of your own: a dict of str that is saved, copied and pickled with the network.

        `save` refuses keys that begin with "fastmlp", and values that are not strings. The texts
        "feature_names" and "classes" are JSON lists; the properties with these names set them.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 1], seed=0)
        >>> network.metadata["trained on"] = "the measurements of May"
        """
        found: dict[str, str] = self.__dict__.setdefault("_metadata", {})
        return found

    @metadata.setter
    def metadata(self, texts: Mapping[str, str]) -> None:
        self.__dict__["_metadata"] = checked_texts("metadata", texts)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the inputs, or None: a tuple of str. `fit` sets them if X is a frame.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 1], seed=0)
        >>> network.feature_names = ["width", "height"]
        >>> network.feature_names
        ('width', 'height')
        """
        found = self._list_of("feature_names")
        return None if found is None else tuple(found)

    @feature_names.setter
    def feature_names(self, names: Sequence[str] | None) -> None:
        if names is None:
            self.metadata.pop("feature_names", None)
            return
        n_in = self.layers[0]
        given = [names] if isinstance(names, str) else list(names)
        if not all(isinstance(name, str) for name in given) or len(given) != n_in:
            raise ValueError(
                f"feature_names: it has {len(given)} entries; it must have {n_in} strings, one for "
                "each input"
            )
        if len(set(given)) != n_in:
            raise ValueError("feature_names: a name is given twice; each must be unique")
        self.metadata["feature_names"] = json.dumps([str(name) for name in given])

    @property
    def classes(self) -> npt.NDArray[Any] | None:
        """The labels of the classes, or None: an array of str, int, float or bool.

        `predict` then returns labels instead of numbers. A softmax output has one label for each
        unit, a single sigmoid output has two: that of 0 and that of 1.

        Examples
        --------
        >>> import fastmlp
        >>> network = fastmlp.Network([2, 1], seed=0)
        >>> network.classes = ["no", "yes"]
        >>> network.predict([[0.0, 0.0]]).tolist()
        ['yes']
        """
        found = self._list_of("classes")
        return None if found is None else np.array(found)

    @classes.setter
    def classes(self, labels: npt.ArrayLike | None) -> None:
        if labels is None:
            self.metadata.pop("classes", None)
            return
        given: Any = np.asarray(labels).tolist()
        n = self._class_count()
        kinds = {type(label) for label in given} if isinstance(given, list) else set()
        if kinds not in ({str}, {int}, {float}, {bool}) or not len(given) == len(set(given)) == n:
            raise ValueError(
                f"classes: it is {labels!r:.80}; it must have {n} different labels, all str, all "
                "int, all float or all bool"
            )
        self.metadata["classes"] = json.dumps(given, allow_nan=False)

    def _class_count(self) -> int:
        """Return the number of classes; refuse a network without them."""
        if self.output == "softmax":
            return int(self.layers[-1])
        if self.output == "sigmoid" and self.layers[-1] == 1:
            return 2
        raise ValueError(
            f"classes: the network has {self.layers[-1]} outputs {self.output!r}; labels are for "
            "softmax or one sigmoid output"
        )

    def _list_of(self, key: str) -> list[Any] | None:
        if key not in self.metadata:
            return None
        try:
            found = json.loads(self.metadata[key])
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, list):
            raise ValueError(f"{key}: metadata[{key!r}] is not a JSON list; set {key} instead")
        return found

    def _labelled(self, indices: Array) -> Array:
        """Return the labels of these numbers of classes, or the numbers if there are no labels."""
        if "classes" not in self.metadata:
            return indices
        labels = self.classes
        if labels is None or len(labels) != self._class_count():
            raise ValueError("predict: metadata['classes'] does not have a label for each class")
        found: Array = labels[indices]
        return found


def checked_texts(what: str, texts: Mapping[str, str]) -> dict[str, str]:
    """Return a dict of these texts; refuse other values than strings, and reserved keys."""
    found = dict(texts)
    for key, value in found.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"{what}: the entry {key!r:.80} is {value!r:.80}; both must be strings")
        if key.startswith("fastmlp"):
            raise ValueError(
                f"{what}: the key {key!r:.80} begins with 'fastmlp', which is reserved for the "
                "library; use another name"
            )
    return found
