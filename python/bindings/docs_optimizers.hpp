// Docstring of Objective.
#pragma once

namespace fastmlp::python {

constexpr const char* kObjectiveDoc = R"(What is minimised beside the plain mean loss.

Parameters
----------
alpha : float, default 0.0
    Adds ``alpha / (2 S)`` times the sum of all squared weights (not biases) to the mean loss of a
    batch of weight S: scikit-learn's `alpha`.
loss_scale, gradient_scale : float, default 1.0
    The loss, and the gradient, are multiplied by them; where they differ, the gradient is not that
    of the loss.
clip : float, default 0.0
    Where positive, the loss of a sigmoid or softmax output is reported as of probabilities in
    ``[clip, 1 - clip]``, for targets of 0 and 1; the gradient is as it is.

Raises
------
ValueError
    If a value is negative or not finite, a scale is 0 or clip at least 0.5.

Examples
--------
>>> import fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
>>> net.parameters[:] = 2
>>> net.loss_and_gradients([[0.0, 0.0]], [2.0], objective=fastmlp.Objective(alpha=0.5))
2.0
)";

}  // namespace fastmlp::python
