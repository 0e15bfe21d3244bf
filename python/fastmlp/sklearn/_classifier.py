"""`MLPClassifier`: scikit-learn's class with the arithmetic exchanged.

What its users have asked for is added as keyword-only parameters. Start at `_arithmetic.py`.
"""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import _fit_context
from sklearn.neural_network import MLPClassifier as _SklearnClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from fastmlp.network import Network
from fastmlp.sklearn._arithmetic import NativeArithmetic
from fastmlp.sklearn._callbacks import CallbackSupportMixin, with_callbacks
from fastmlp.sklearn._from_network import adopt
from fastmlp.sklearn._parameters import CLASSIFIER_CONSTRAINTS

Array = npt.NDArray[Any]


class MLPClassifier(CallbackSupportMixin, NativeArithmetic, _SklearnClassifier):
    """Multi-layer perceptron classifier: scikit-learn's, trained by fastmlp.

    All parameters, attributes, methods, messages and random numbers are those of
    `sklearn.neural_network.MLPClassifier` (1.7 or later), whose documentation holds here; with the
    same `random_state` the fitted model is the same to rounding. Added are the following, which
    change nothing by default.

    Parameters
    ----------
    activation : str or list of str, default "relu"
        One name for all hidden layers or one for each; besides scikit-learn's "identity",
        "logistic", "tanh" and "relu" also "leaky_relu", "elu", "softplus", "gelu" and "silu".
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, which the weights of the rows are multiplied by; as in
        `sklearn.linear_model.LogisticRegression`.
    dropout : float or list of float, default 0.0
        The share, in [0, 1), of a hidden layer's units that a training step leaves out, one for all
        hidden layers or one for each (Srivastava et al., 2014). For the solvers "sgd" and "adam".
    weight_decay : float, default 0.0
        Decoupled decay of the weights (Loshchilov and Hutter, 2019): each step multiplies them by
        `1 - learning_rate * weight_decay`. For the solvers "sgd" and "adam".
    scoring : str, callable or None, default None
        What early stopping looks at: None is accuracy, "loss" the loss of the rows set aside, and
        anything else a scorer of scikit-learn's.

    Attributes
    ----------
    network_ : fastmlp.Network
        The fitted network, of which `coefs_` and `intercepts_` are views.
    validation_loss_curve_ : list of float
        The loss, without penalty, of the rows of `eval_set` after each epoch.

    Notes
    -----
    Three things differ: a predicted probability is as exact as the dtype of the parameters allows,
    whatever X's; sparse X is made dense a batch at a time; and verbose L-BFGS output is SciPy's.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPClassifier
    >>> X, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], [0, 0, 1, 1]
    >>> classifier = MLPClassifier((8,), solver="lbfgs", activation="tanh", random_state=0)
    >>> classifier.fit(X, y).predict(X).tolist()
    [0, 0, 1, 1]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **_SklearnClassifier._parameter_constraints,
        **CLASSIFIER_CONSTRAINTS,
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        weight_decay: float = 0.0,
        scoring: Any = None,
    ) -> None:
        given = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        for name in ("class_weight", "dropout", "weight_decay", "scoring"):
            setattr(self, name, given.pop(name))
        super().__init__(**given)

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, eval_set: Any = None) -> Self:
        """Fit the model to X and y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels.
        sample_weight : array-like of shape (n_samples,), optional
        eval_set : (X, y) or (X, y, sample_weight), optional
            Rows whose loss is taken after each epoch, into `validation_loss_curve_`, and which
            early stopping looks at in place of a part of X.

        Returns
        -------
        self
        """
        return self._fit_with(X, y, sample_weight, eval_set)

    def predict_proba(self, X: Any) -> Array:
        """Probability estimates.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        if "coefs_" not in self.__dict__:
            check_is_fitted(self)  # which takes longer than a row
        outputs = self._forward_pass_fast(X)
        if self.n_outputs_ != 1:
            return outputs
        both = np.empty((2, len(outputs)), outputs.dtype)
        both[1] = outputs[:, 0]
        np.subtract(1, both[1], out=both[0])
        return both.T

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        if incremental and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, which does not see all "
                "rows. Use compute_class_weight('balanced', classes=classes, y=y) once, and pass "
                "what it gives as class_weight."
            )
        return super()._fit(X, y, sample_weight=sample_weight, incremental=incremental)

    def _class_weighted(self, y: Array, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        labels = self._label_binarizer.inverse_transform(y)
        weights = compute_sample_weight(self.class_weight, labels)
        return weights if sample_weight is None else weights * sample_weight

    @classmethod
    def from_network(cls, network: Network, classes: Any = None) -> Self:
        """Make a fitted estimator of a network, without `fit`.

        Parameters
        ----------
        network : fastmlp.Network
            With an output "sigmoid" (one unit: two classes; several: multilabel) or "softmax". It
            is copied; a softmax of two units becomes the sigmoid of their difference, which is
            scikit-learn's form of two classes.
        classes : array-like of shape (n_classes,), optional
            The labels, sorted; 0, 1, … by default.

        Returns
        -------
        MLPClassifier

        Raises
        ------
        ValueError
            If the network's output is another, or classes do not fit it.

        Examples
        --------
        >>> import fastmlp
        >>> from fastmlp.sklearn import MLPClassifier
        >>> network = fastmlp.Network([2, 3], output="softmax", seed=0)
        >>> MLPClassifier.from_network(network, classes=["a", "b", "c"]).predict([[0.0, 0.0]])
        array(['a'], dtype='<U1')
        """
        outputs = network.layers[-1]
        if network.output not in ("sigmoid", "softmax"):
            raise ValueError(
                f"from_network: the output is {network.output!r}; it must be 'sigmoid' or 'softmax'"
            )
        multilabel = network.output == "sigmoid" and outputs > 1
        count = 2 if outputs == 1 else outputs
        labels = np.arange(count) if classes is None else np.asarray(classes)
        if labels.shape != (count,) or (np.unique(labels) != labels).any():
            raise ValueError(
                f"from_network: classes is {classes!r}; it must be {count} labels, sorted and each "
                "once"
            )
        estimator = adopt(cls(), network)
        estimator._label_binarizer = LabelBinarizer().fit(
            np.eye(count, dtype=int) if multilabel else labels
        )
        estimator.classes_ = labels
        return estimator
