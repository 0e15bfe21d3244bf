"""Without the library `onnx`, a call that needs it says what to install."""

import sys

import pytest

import fastmlp
from fastmlp.tabular import TabularRegressor


def test_calls_without_onnx_say_what_to_install(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("fastmlp.formats.onnx"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = TabularRegressor(epochs=1, n_members=1).fit({"x": [1.0, 2.0, 4.0]}, [1.0, 2.0, 3.0])
    for call in (
        fastmlp.Network([2, 1], seed=0).to_onnx,
        lambda: fastmlp.Network.from_onnx("model.onnx"),
        model.to_onnx,
    ):
        with pytest.raises(ImportError, match=r"pip install 'fastmlp\[onnx\]'"):
            call()
