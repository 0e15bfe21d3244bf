// The docstrings of bind_network.cpp.
#pragma once

namespace fastmlp::python {

constexpr const char* kForwardDoc =
    R"(The network's outputs: probabilities, or values for an identity or exp output.

Parameters
----------
X : array (m, n_in), or one row (n_in,)
    Arrays of the network's dtype are used in place, others are converted block by block.
out : ndarray (m, n_out), or (n_out,), optional
    Of the network's dtype; it must not share memory with `X`.

Returns
-------
ndarray (m, n_out), or (n_out,) for one row
    `out` if it was given.

Raises
------
ValueError, TypeError
    If shapes or types do not fit; nothing is written then.
RuntimeError
    While another thread trains this network.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([4, 8, 1], seed=0)
>>> net.forward(np.zeros((3, 4), "float32"))
array([[0.5],
       [0.5],
       [0.5]], dtype=float32)
)";

constexpr const char* kLossDoc = R"(The mean loss over the rows of X.

Parameters
----------
X : array (m, n_in)
y : array
    (m,) or (m, 1) for one output, (m, n_out) for several; for softmax class indices (m,) or one-hot
    rows (m, n_out).
sample_weight : array (m,), optional
    Non-negative weights of the rows, 1 by default.

Returns
-------
float
    The weighted mean; 0.0 where the weights sum to 0.

Raises
------
ValueError, TypeError
    If shapes, types or targets do not fit.
RuntimeError
    While another thread trains this network.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([4, 8, 1], seed=0)
>>> round(net.loss(np.zeros((2, 4)), [0, 1]), 6)
0.693147
)";

constexpr const char* kLossAndGradientsDoc =
    R"(The mean loss; leaves the gradient of it in ``gradients``.

Parameters, errors and the value are those of :meth:`loss`; ``objective=`` adds a penalty to it.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
>>> net.parameters[:] = 0
>>> net.loss_and_gradients([[1.0, 2.0]], [3.0])
4.5
>>> net.gradients
array([-3., -6., -3.])
)";

constexpr const char* kAccumulateGradientsDoc =
    R"(Add the gradient of the *sum* of the losses of these rows to ``gradients``.

Parameters and errors are those of :meth:`loss`.

Returns
-------
(float, float)
    The sum of the losses, each times its weight, and the sum of the weights.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
>>> net.gradients[:] = 0
>>> loss_sum, weight_sum = net.accumulate_gradients([[1.0, 2.0], [0.0, 1.0]], [3.0, 1.0])
>>> weight_sum
2.0
>>> net.apply_gradients(fastmlp.SGD(0.1), scale=1 / weight_sum)
)";

constexpr const char* kApplyGradientsDoc =
    R"(One update of the parameters from ``gradients * scale``.

Parameters
----------
optimizer : SGD, Adam or AdamW
    Its state is this network's from the first update on.
scale : float, default 1.0
    Finite; after :meth:`accumulate_gradients` one over the sum of the weights.

Raises
------
ValueError
    If `scale` is not finite, or the optimizer's state is another network's.
RuntimeError
    While another thread trains this network, or if one goes on reading it for 10 s.
)";

constexpr const char* kStepDoc = R"(One step of gradient descent on one batch.

The same bits as :meth:`loss_and_gradients` and :meth:`apply_gradients`, faster; it leaves
``gradients`` unspecified.

Parameters
----------
X, y : array
    As for :meth:`loss`.
learning_rate : float
    Positive and finite.

Returns
-------
float
    The mean loss before the step.

Raises
------
ValueError, TypeError
    If shapes, types, targets or the learning rate do not fit; nothing is changed then.
RuntimeError
    While another thread trains this network, or if one goes on reading it for 10 s.
)";

constexpr const char* kTrainEpochDoc =
    R"(One pass over the rows of X that `order` names, a step on each batch.

Parameters
----------
X, y, sample_weight : array
    As for :meth:`loss`.
order : array of integers
    Row numbers; batches are cut from it in order, the last may be short.
batch_size : int
    At least 1.
optimizer : SGD, Adam or AdamW
    Its state is this network's from the first update on.
objective : Objective, optional
    A penalty on the weights, and how the loss is reported.
batch_losses : ndarray of float64, (number of batches,), optional
    Receives the mean loss of each batch before its step, with the penalty.
dropout : float or sequence of float, optional
    The share of units that a step leaves out, in [0, 1): one for all hidden layers, or one each.
seed : int, optional
    Of the dropout, in place of the network's; with it count `epochs_trained` and the step.

Returns
-------
float
    The mean over the rows of the losses before their batch's step.

Raises
------
ValueError, TypeError
    If shapes, types, targets or row numbers do not fit; nothing is changed then.
RuntimeError
    While another thread trains this network, or if one goes on reading it for 10 s.
KeyboardInterrupt
    On Ctrl-C, between two steps: the steps before it have been taken, `epochs_trained` has not
    been counted up.
)";

}  // namespace fastmlp::python
