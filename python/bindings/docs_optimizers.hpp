// The docstring of Objective, for bind_optimizers.cpp.
#pragma once

namespace fastmlp::python {

constexpr const char* kObjectiveDoc =
    R"(The penalty added to the mean loss, and how the loss is reported.

Parameters
----------
alpha : float, default 0.0
    Adds ``alpha / (2 S)`` times the sum of all squared weights (not biases) to the mean loss of a
    batch. S is the sum of the batch's sample weights. This is scikit-learn's `alpha`.
loss_scale, gradient_scale : float, default 1.0
    The loss and the gradient are multiplied by these; the penalty is not. If the two differ, the
    gradient is not that of the reported loss.
clip : float, default 0.0
    If positive, the loss of a sigmoid or softmax output is reported as if its probabilities were
    limited to ``[clip, 1 - clip]``, for targets of 0 and 1. The gradient does not change.

Raises
------
ValueError
    If a value is negative or not finite, a scale is 0, or clip is 0.5 or more.

Examples
--------
>>> import fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
>>> net.parameters[:] = 2
>>> net.loss_and_gradients([[0.0, 0.0]], [2.0], objective=fastmlp.Objective(alpha=0.5))
2.0
)";

}  // namespace fastmlp::python
