// The docstrings of bind_ops.cpp.
#pragma once

namespace fastmlp::python {

constexpr const char* kMatmulDoc = R"(The matrix product ``A @ B``.

Parameters
----------
A : array (m, k)
B : array (k, n)
    Any strides; a transposed view is not copied.
out : ndarray (m, n), optional
    Array for the result; it must not share memory with `A` or `B`.

Returns
-------
ndarray (m, n)
    float32 if both operands are float32 (or float16), else float64; `out` if it was given.

Raises
------
ValueError
    If shapes do not fit, or `out` is read-only or shares memory with an operand.
TypeError
    If an array is not of real numbers, or if `out` has another dtype than the result.
KeyboardInterrupt
    On Ctrl-C, within a second; the content of `out` is then unspecified.

Notes
-----
Each element is one chain of fused multiply-adds in the order of k (in chunks of 4096), so the
result has the same bits for any number of threads and instruction set.

Examples
--------
>>> import numpy as np, fastmlp
>>> fastmlp.ops.matmul(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]).T)
array([[1., 3.],
       [2., 4.]])
)";

constexpr const char* kReluDoc =
    R"(The rectified linear unit: z if z > 0, else 0; a NaN stays a NaN.

Parameters
----------
Z : array, any shape
out : ndarray of the same shape, optional
    It must not share memory with `Z`.

Returns
-------
ndarray
    Shape of `Z`; float32 if `Z` is float32 (or float16), else float64.

Raises
------
ValueError, TypeError, KeyboardInterrupt
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.relu([-1.0, 0.0, 2.0])
array([0., 0., 2.])
)";

constexpr const char* kReluBackwardDoc =
    R"(The backward pass of :func:`relu`: dA if z > 0, else 0.

Parameters
----------
dA : array, any shape
    Derivative of the loss with respect to the layer's output.
Z : array of the same shape
    The layer's input, or its output, which is positive in the same places.
out : ndarray of the same shape, optional
    It must not share memory with `dA` or `Z`.

Returns
-------
ndarray
    dZ; float32 if both are float32 (or float16), else float64.

Raises
------
ValueError, TypeError, KeyboardInterrupt
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.relu_backward([5.0, 5.0, 5.0], [-1.0, 0.0, 2.0])
array([0., 0., 5.])
)";

constexpr const char* kSigmoidDoc =
    R"(The logistic function ``1 / (1 + exp(-Z))``, without overflow.

Parameters
----------
Z : array, any shape
out : ndarray of the same shape, optional
    It must not share memory with `Z`.

Returns
-------
ndarray
    Shape of `Z`; float32 if `Z` is float32 (or float16), else float64.

Raises
------
ValueError, TypeError, KeyboardInterrupt
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.sigmoid([-1000.0, 0.0, 1000.0])
array([0. , 0.5, 1. ])
)";

constexpr const char* kSigmoidBackwardDoc =
    R"(The backward pass of :func:`sigmoid`: ``dA * A * (1 - A)``.

Parameters
----------
dA : array, any shape
    Derivative of the loss with respect to the layer's output.
A : array of the same shape
    The layer's output, ``sigmoid(Z)``.
out : ndarray of the same shape, optional
    It must not share memory with `dA` or `A`.

Returns
-------
ndarray
    dZ; float32 if both are float32 (or float16), else float64.

Raises
------
ValueError, TypeError, KeyboardInterrupt
    As for :func:`matmul`.

Examples
--------
>>> import fastmlp
>>> fastmlp.ops.sigmoid_backward([4.0], [0.5])
array([1.])
)";

constexpr const char* kBinaryCrossEntropyDoc =
    R"(The mean binary cross-entropy of ``sigmoid(Z)``, computed from the logits.

Parameters
----------
Z : array (m,) or (m, n)
    Logits; its dtype decides the precision, as for :func:`relu`.
y : array of the same shape
    Targets in [0, 1].

Returns
-------
float
    ``max(z, 0) - z y + log(1 + exp(-|z|))``, summed over the n outputs and averaged over the m
    rows. It is finite for every finite `Z`, and 0.0 if there are no rows.

Raises
------
ValueError
    If the shapes differ, or a target is outside [0, 1].
TypeError
    If an array is not of real numbers.
KeyboardInterrupt
    On Ctrl-C.

Examples
--------
>>> import fastmlp
>>> round(fastmlp.ops.binary_cross_entropy([0.0, 0.0], [0, 1]), 6)
0.693147
)";

constexpr const char* kSgdUpdateDoc =
    R"(Gradient descent in place: ``parameter -= learning_rate * gradient``, rounded once.

Parameters
----------
parameter : ndarray, float32 or float64
    Changed in place.
gradient : array of the same shape
    Converted to the parameter's dtype; it must not share memory with `parameter`.
learning_rate : float
    Positive and finite.

Raises
------
ValueError, TypeError
    As for :func:`matmul`; nothing is changed then.
KeyboardInterrupt
    On Ctrl-C. `parameter` is then updated row by row up to some element; the rest is unchanged.

Examples
--------
>>> import numpy as np, fastmlp
>>> w = np.array([1.0, 2.0])
>>> fastmlp.ops.sgd_update(w, [1.0, -1.0], 0.5)
>>> w
array([0.5, 2.5])
)";

constexpr const char* kDotDoc =
    R"(The sum of ``a * b``, in float64. The number of elements alone fixes the order of summation.

Parameters
----------
a, b : array
    Of the same shape.

Returns
-------
float

Raises
------
ValueError
    If the shapes differ.
TypeError
    If an array is not of real numbers.

Examples
--------
>>> from fastmlp import _core
>>> _core.dot([1.0, 2.0], [3.0, 4.0])
11.0
)";

}  // namespace fastmlp::python
