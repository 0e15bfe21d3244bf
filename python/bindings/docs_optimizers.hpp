// Docstrings of the optimizers.
#pragma once

namespace fastmlp::python {

constexpr const char* kSgdDoc = R"(Gradient descent, with momentum where it is not 0.

``g = dtheta + weight_decay theta``, then ``theta = theta - learning_rate g``. With momentum
``v = momentum v - learning_rate g`` and ``theta = theta + v``, or with Nesterov's look ahead
``theta = theta + momentum v - learning_rate g`` (Sutskever et al., 2013): scikit-learn's and Keras's
form, which differs from PyTorch's where the learning rate changes.

Parameters
----------
learning_rate : float, default 0.01
    Positive and finite; may be set anew at any time.
momentum : float, default 0.0
    In [0, 1].
nesterov : bool, default False
    Without effect where momentum is 0.
weight_decay : float, default 0.0
    Finite and at least 0; of weights, not of biases.
decoupled : bool, default False
    Whether the decay is not part of the gradient, but multiplies the weights by
    ``1 - learning_rate * weight_decay`` before each update (Loshchilov and Hutter, 2019).

Raises
------
ValueError
    If a value is not as above.

Notes
-----
With momentum it remembers a velocity, which belongs to the first network it updates: another one is
refused.

Examples
--------
>>> import fastmlp
>>> fastmlp.SGD(learning_rate=0.1, momentum=0.9)
SGD(learning_rate=0.1, momentum=0.9, nesterov=False, weight_decay=0.0)
)";

constexpr const char* kAdamDoc = R"(Adam (Kingma and Ba, 2015, arXiv:1412.6980).

Means of the gradient ``g = dtheta + weight_decay theta`` and of its square that fade,
``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2``; after t updates
``m' = m / (1 - beta_1^t)``, ``v' = v / (1 - beta_2^t)`` and
``theta = theta - learning_rate m' / (sqrt(v') + epsilon)``.

Parameters
----------
learning_rate : float, default 0.001
    Positive and finite; may be set anew at any time.
beta_1, beta_2 : float, default 0.9 and 0.999
    In [0, 1).
epsilon : float, default 1e-8
    Positive and finite.
epsilon_hat : float, optional
    In place of epsilon: added to ``sqrt(v)`` instead of ``sqrt(v')``, as in scikit-learn and
    TensorFlow (the paper's section 2).
weight_decay : float, default 0.0
    Finite and at least 0; of weights, not of biases.

Raises
------
ValueError
    If a value is not as above.

Notes
-----
It remembers m and v, which belong to the first network it updates: another one is refused.

Examples
--------
>>> import fastmlp
>>> fastmlp.Adam(0.002)
Adam(learning_rate=0.002, beta_1=0.9, beta_2=0.999, epsilon=1e-08, weight_decay=0.0)
)";

constexpr const char* kAdamWDoc =
    R"(Adam with decoupled weight decay (Loshchilov and Hutter, 2019, arXiv:1711.05101).

As :class:`Adam`, but the decay is not part of the gradient: before each update the weights (not the
biases) are multiplied by ``1 - learning_rate * weight_decay``.

Parameters
----------
learning_rate, beta_1, beta_2, epsilon, epsilon_hat
    As for :class:`Adam`.
weight_decay : float, default 0.01
    Finite and at least 0.

Raises
------
ValueError
    If a value is not as above.

Examples
--------
>>> import fastmlp
>>> fastmlp.AdamW(weight_decay=0.1).weight_decay
0.1
)";

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
