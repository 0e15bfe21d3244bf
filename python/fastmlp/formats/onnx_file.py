"""The library `onnx`: its import, models in files, and nodes that are run.

onnx_export.py and onnx_import.py say what is in a model.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from fastmlp._trainable import Array
from fastmlp.formats.safetensors import AnyPath, checked_path, replace_file

try:
    import onnx
    import onnx.checker
    import onnx.inliner
    import onnx.reference
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "ONNX files need onnx, which is not installed: pip install 'fastmlp[onnx]'", name="onnx"
    ) from error

__all__ = [
    "DOMAIN",
    "MOST_BYTES",
    "attributes",
    "described",
    "is_float",
    "load",
    "onnx",
    "refuse",
    "run_nodes",
    "save",
]

DOMAIN = "fastmlp"  # of the functions that `to_onnx` writes
MOST_FUNCTIONS, MOST_NODES = 200, 100_000  # a small file can have calls for billions of nodes
MOST_BYTES = 2**31 - 2**20  # of the parameters: a file of protobuf has less than 2**31 bytes


def save(model: Any, path: AnyPath) -> None:
    """Write a model to a file, in one step."""
    replace_file(path, model.SerializeToString(), function="to_onnx")


def load(given: Any) -> Any:
    """Return a valid model with its tensors: from the path of a file, or from a ModelProto."""
    if isinstance(given, onnx.ModelProto):
        model, what = onnx.ModelProto(), "the model"
        model.CopyFrom(given)
    else:
        what = os.fsdecode(checked_path(given, "from_onnx"))
        with open(what, "rb"):  # raises the OSError that names the path
            pass
        try:
            model = onnx.load(what)
        except Exception as error:  # of protobuf, of the files with external data
            raise ValueError(
                f"from_onnx: {what} is damaged or not an ONNX file, or a file with its tensors is: "
                f"{error}"
            ) from error
    try:
        for one in [*model.graph.input, *model.graph.output]:
            if one.type.HasField("tensor_type"):
                one.type.tensor_type.shape.SetInParent()  # the checker wants one, runtimes do not
        _replace_erfc(model.graph)
        onnx.checker.check_model(model)
        return _without_functions(model)
    except Exception as error:  # of several classes
        raise ValueError(f"from_onnx: {what} is not valid ONNX: {error}") from error


def _replace_erfc(graph: Any) -> None:
    """Replace TensorFlow's Erfc by 1 - erf. ONNX lacks Erfc; tf2onnx leaves it in Keras's gelu."""
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Erfc":
            x, y = node.input[0], node.output[0]
            graph.initializer.append(
                onnx.helper.make_tensor(f"{y}/one", onnx.TensorProto.FLOAT, [], [1.0])
            )
            graph.node.append(onnx.helper.make_node("Erf", [x], [f"{y}/erf"], f"{node.name}/erf"))
            node = onnx.helper.make_node("Sub", [f"{y}/one", f"{y}/erf"], [y], node.name)
        graph.node.append(node)


def _without_functions(model: Any) -> Any:
    """Put the nodes of functions in place of the calls, but keep those of `to_onnx`."""
    if not any(one.domain != DOMAIN for one in model.functions):
        return model
    functions = {(one.domain, one.name): one.node for one in model.functions}
    if len(functions) > MOST_FUNCTIONS or _size(model.graph.node, functions, {}) > MOST_NODES:
        raise ValueError(
            f"it has over {MOST_FUNCTIONS} functions, or over {MOST_NODES} nodes with them"
        )
    kept = [key for key in functions if key[0] == DOMAIN]
    return onnx.inliner.inline_selected_functions(model, kept, exclude=True)


def _size(
    nodes: Any, functions: Mapping[tuple[str, str], Any], known: dict[tuple[str, str], int]
) -> int:
    """Return the number of nodes, with those inside of calls, which may be nested."""
    total = 0
    for node in nodes:
        key = node.domain, node.op_type
        if key in functions and key not in known:
            known[key] = _size(functions[key], functions, known)
        total += known.get(key, 1)
        for one in node.attribute:
            total += _size(one.g.node, functions, known)
    return total


def attributes(node: Any) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}


def is_float(kind: int) -> bool:
    """Return whether a type of tensors holds floating point numbers."""
    of = onnx.TensorProto
    return kind in (of.FLOAT, of.DOUBLE, of.FLOAT16, of.BFLOAT16)


def described(node: Any) -> str:
    """Return what messages call a node."""
    return f"node {node.name or node.output[0]!r} ({node.op_type})"


def refuse(node: Any, reason: str) -> NoReturn:
    """Raise the error that a node cannot be taken."""
    raise ValueError(f"from_onnx: {described(node)} {reason}")


def run_nodes(nodes: Sequence[Any], tensors: Mapping[str, Array], opset: int) -> Array:
    """Return the first output of the last node, by the reference implementation of ONNX."""
    untyped = onnx.TypeProto()
    graph = onnx.helper.make_graph(
        nodes,
        "nodes",
        [onnx.helper.make_value_info(name, untyped) for name in tensors],
        [onnx.helper.make_value_info(nodes[-1].output[0], untyped)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    result: Array = onnx.reference.ReferenceEvaluator(model).run(None, dict(tensors))[0]
    return result
