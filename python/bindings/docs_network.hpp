// The docstrings of bind_network.cpp.
#pragma once

namespace fastmlp::python {

constexpr const char* kForwardDoc =
    R"(The network's outputs: probabilities, or values for an identity or exp output.

Parameters
----------
X : array (m, n_in), one row (n_in,), or a SciPy CSR matrix (m, n_in)
    A dense array of the network's dtype is used in place; others are converted block by block.
out : ndarray (m, n_out), or (n_out,), optional
    The array for the result, of the network's dtype. It must not share memory with `X`.

Returns
-------
ndarray (m, n_out), or (n_out,) for one row
    `out` itself, if it was given.

Raises
------
ValueError, TypeError
    If shapes or types do not fit. Nothing is written then.
RuntimeError
    If another thread is training this network.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([4, 8, 1], seed=0)
>>> net.forward(np.zeros((3, 4), "float32"))
array([[0.5],
       [0.5],
       [0.5]], dtype=float32)
)";

constexpr const char* kFoldScalingDoc =
    R"(Let a network of scaled rows take raw rows and give raw outputs.

The network was trained on `(X - input_mean) / input_scale` and, if its output is identity, on
`(y - output_mean) / output_scale`. This call rewrites its first and its last layer
(`docs/mathematics.md`, "Scaling"), so that `forward` takes X and gives y, as fast as before. The
attribute `scaling` remembers the numbers; folding a second scaling combines both.
`fit(standardize=True)` measures a scaling and folds it for you.

Rounding: the outputs differ from those for scaled rows by a few units in the last place of the
largest terms, `1 + |input_mean| / input_scale` times as many as without scaling.

Parameters
----------
input_mean, input_scale : array (n_in,), optional
    What is subtracted from each column of X, and what it is divided by.
output_mean, output_scale : array (n_out,), optional
    The same for y; only for the output identity.

Raises
------
ValueError
    If a scale is not positive, a number is not finite, a shape does not fit, or, for float32,
    `|mean| / scale` of a column is above 65536. The network is then unchanged.
RuntimeError
    If another thread is training this network.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([1, 1], output="identity", seed=0)
>>> net.weights[0][:] = 2.0  # y = 2 x, for a scaled x
>>> net.fold_scaling(input_mean=[10.0], input_scale=[4.0])
>>> net.forward([[14.0]]).tolist()
[[2.0]]
)";

constexpr const char* kLossDoc = R"(The mean loss over the rows of X.

Parameters
----------
X : array or SciPy CSR matrix (m, n_in)
y : array
    (m,) or (m, 1) for one output, (m, n_out) for several. For softmax, class indices (m,) or
    one-hot rows (m, n_out). With the loss pinball, (m,) or (m, 1): one target for each row.
sample_weight : array (m,), optional
    The weight of each row in float64, not negative; by default 1.

Returns
-------
float
    The weighted mean; 0.0 if there are no rows.

Raises
------
ValueError, TypeError
    If shapes, types or targets do not fit, or if the sum of the weights is 0 or infinite.
RuntimeError
    If another thread is training this network.

Examples
--------
>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([4, 8, 1], seed=0)
>>> round(net.loss(np.zeros((2, 4)), [0, 1]), 6)
0.693147
)";

constexpr const char* kLossAndGradientsDoc =
    R"(Return the mean loss and write its gradient to ``gradients``.

Parameters, errors and the result are those of :meth:`loss`, but all weights may be 0: then the loss
and the gradient are 0. An ``objective`` may add a penalty. Afterwards the network keeps at most
64 MiB of the memory that the call needed.

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

constexpr const char* kBackwardDoc =
    R"(Backpropagate a gradient of your own; return that of X and write that of the parameters.

Use it for a loss that the library does not have: compute the loss and its gradient from the
outputs, call ``backward``, and take a step by :meth:`apply_gradients`.

Parameters
----------
X : array (m, n_in), one row (n_in,), or a SciPy CSR matrix (m, n_in)
dY : array (m, n_out), or (n_out,) for one row
    The gradient of your loss with respect to ``forward(X)``; (m,) for one output. If the loss is a
    mean over the rows, dY has the factor 1 / m.

Returns
-------
ndarray (m, n_in), or (n_in,) for one row
    The gradient of your loss with respect to X. The gradient with respect to the parameters is in
    ``gradients``.

Raises
------
ValueError, TypeError
    If shapes or types do not fit.
RuntimeError
    If another thread uses this network.

Examples
--------
A step on the mean of the fourth powers of the errors:

>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", dtype="float64", seed=0)
>>> net.parameters[:] = 0
>>> X, y = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0], [1.0]])
>>> error = net.forward(X) - y
>>> net.backward(X, 4 * error**3 / len(X)).shape
(2, 2)
>>> net.gradients
array([ -54., -110.,  -56.])
>>> net.apply_gradients(fastmlp.SGD(0.1))
)";

constexpr const char* kInputGradientsDoc =
    R"(Return the gradient of ``sum(dY * forward(X))`` with respect to X.

Parameters, errors and the result are those of :meth:`backward`, but ``gradients`` stay as they are.
Row i of the result is the sum over j of dY_ij times the gradient of output j with respect to row i
of X. Many threads may call this at once.

Examples
--------
How an output changes with each input, in one row:

>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([2, 1], output="identity", seed=0)
>>> net.weights[0][:] = [[2.0], [-1.0]]
>>> net.input_gradients([5.0, 7.0], [1.0]).tolist()
[2.0, -1.0]
)";

constexpr const char* kJacobianDoc =
    R"(Return the derivatives of all outputs with respect to all inputs, for each row of X.

Parameters
----------
X : array (m, n_in), one row (n_in,), or a SciPy CSR matrix (m, n_in)

Returns
-------
ndarray (m, n_out, n_in), or (n_out, n_in) for one row
    Element (i, j, k) is the derivative of output j with respect to input k at row i.

Raises
------
ValueError, TypeError
    If the shape or the type does not fit.
RuntimeError
    If another thread is training this network.

Examples
--------
>>> import fastmlp
>>> net = fastmlp.Network([2, 3], output="identity", seed=0)
>>> (net.jacobian([5.0, 7.0]) == net.weights[0].T).all()
np.True_
)";

constexpr const char* kActivationsDoc =
    R"(Return the outputs of every layer: first the hidden layers, then the output layer.

Parameters
----------
X : array (m, n_in), one row (n_in,), or a SciPy CSR matrix (m, n_in)

Returns
-------
list of ndarray, (m, n_l) each, or (n_l,) for one row
    Element l is the output of the layer with ``weights[l]`` and ``biases[l]``. The last element is
    ``forward(X)``.

Raises
------
ValueError, TypeError
    If the shape or the type does not fit.
RuntimeError
    If another thread is training this network.

Examples
--------
The last hidden layer as features for something else:

>>> import numpy as np, fastmlp
>>> net = fastmlp.Network([4, 8, 3, 1], seed=0)
>>> net.activations(np.ones((5, 4)))[-2].shape
(5, 3)
)";

constexpr const char* kAccumulateGradientsDoc =
    R"(Add the gradient of the *sum* of the losses of these rows to ``gradients``.

Parameters and errors are those of :meth:`loss`, but all weights may be 0. A weight multiplies the
gradient of its row, so it must be 0 or a normal number of the network's dtype. Use this to take one
step on more rows than fit into memory, or on rows of several machines.

Returns
-------
(float, float)
    The sum of the losses, each multiplied by its weight, and the sum of the weights.

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
    R"(Update the parameters once, from ``gradients * scale``.

Parameters
----------
optimizer : SGD, Adam, AdamW, RMSprop or Lion
    Its state belongs to this network from the first update on.
scale : float, default 1.0
    Finite. After :meth:`accumulate_gradients` this is 1 / (the sum of the weights).

Raises
------
ValueError
    If `scale` is not finite, or the optimizer's state is another network's.
RuntimeError
    If another thread is training this network, or keeps reading it for 1 s.
)";

constexpr const char* kStepDoc = R"(Take one step of gradient descent on one batch.

This gives the same bits as :meth:`loss_and_gradients` and :meth:`apply_gradients`, but is faster.
Afterwards the values in ``gradients`` are unspecified.

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
    If shapes, types, targets or the learning rate do not fit. Nothing is changed then.
RuntimeError
    If another thread is training this network, or keeps reading it for 10 s.
)";

constexpr const char* kTrainEpochDoc =
    R"(Take one step on each batch of the rows of X that `order` lists.

Parameters
----------
X, y, sample_weight : array
    As for :meth:`loss`.
order : array of integers
    Row numbers. Each batch takes the next `batch_size` numbers; the last batch may be smaller.
batch_size : int
    At least 1.
optimizer : SGD, Adam, AdamW, RMSprop or Lion
    Its state belongs to this network from the first update on.
objective : Objective, optional
    A penalty on the weights, and the scale of the reported loss.
batch_losses : ndarray of float64, (number of batches,), optional
    Receives the mean loss of each batch before its step, penalty included.
dropout : float or sequence of float, optional
    The fraction of the hidden units that each step leaves out, in [0, 1): one number for all hidden
    layers, or one for each.
seed : int, optional
    The seed of the dropout; by default the network's. The units also depend on `epochs_trained` and
    on the number of the step.
loss : callable, optional
    A loss of your own, as for :meth:`fit`. y must be an array with one row for each row of X; only
    the loss looks at its values. sample_weight and objective must be None.

Returns
-------
float
    The mean loss over the rows. The loss of a row is computed just before the step on its batch.

Raises
------
ValueError, TypeError
    If shapes, types, targets or row numbers do not fit. Nothing is changed then.
RuntimeError
    If another thread is training this network, or keeps reading it for 10 s.
KeyboardInterrupt
    After Ctrl-C, between two steps. The steps before it have been taken; `epochs_trained` is not
    increased.
)";

}  // namespace fastmlp::python
