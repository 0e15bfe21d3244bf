"""The code base keeps its rules (codebase_rules.py), and every rule finds a planted violation."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import codebase_rules as rules
import fastmlp

ROOT = Path(__file__).resolve().parents[3]

Rule = Callable[[Path], list[str]]

# For each rule: a small tree that breaks it, and the lines that break it.
PLANTED: dict[Rule, tuple[dict[str, str], list[str]]] = {
    rules.openmp_only_in_parallel_hpp: (
        {
            "cpp/src/gemm.cpp": "#include <omp.h>\nvoid f() {\n  #pragma omp parallel\n}\n",
            "cpp/src/kernels/math.hpp": "int n = omp_get_num_threads();\n",
        },
        ["cpp/src/gemm.cpp:1", "cpp/src/gemm.cpp:3", "cpp/src/kernels/math.hpp:1"],
    ),
    rules.intrinsics_only_under_kernels: (
        {
            "cpp/src/gemm.cpp": "#include <immintrin.h>\n__m256d x;\nauto y = _mm_add_ps(x, x);\n",
            "cpp/src/ops.cpp": "#include <arm_neon.h>\nfloat32x4_t v = vld1q_f32(p);\n",
        },
        [f"cpp/src/gemm.cpp:{line}" for line in (1, 2, 3)]
        + [f"cpp/src/ops.cpp:{line}" for line in (1, 2)],
    ),
    rules.arguments_are_refused_only_in_check_hpp: (
        {"cpp/src/network.cpp": '/* a\n*/ throw std::invalid_argument("no");\n'},
        ["cpp/src/network.cpp:2"],
    ),
    rules.arrays_are_checked_only_in_array_files: (
        {
            "python/bindings/bind_ops.cpp": "if (a.ndim() != 2) fail();\n"
            "if (!py::isinstance<py::array>(a)) fail();\nauto k = a.dtype().kind();\n"
        },
        [f"python/bindings/bind_ops.cpp:{line}" for line in (1, 2, 3)],
    ),
    rules.the_library_holds_nothing_that_only_measures: (
        {
            "cpp/src/kernels/table.hpp": "double x = std::floor(y);\nvoid (*roofline)(int);\n",
            "cpp/include/fastmlp/floor.hpp": "void multiply_add();\n",
            "python/bindings/bind_ops.cpp": '// no benchmark\nmodule.def("bench_read", f);\n',
        },
        [
            "cpp/src/kernels/table.hpp:2",
            "cpp/include/fastmlp/floor.hpp:1",
            "python/bindings/bind_ops.cpp:2",
        ],
    ),
    rules.installed_headers_include_only_std_and_each_other: (
        {
            "cpp/include/fastmlp/ops.hpp": "#include <vector>\n#include <fastmlp/ops.hpp>\n"
            '#include "check.hpp"\n#include <fastmlp/check.hpp>\n#include <omp.h>\n'
            "#include <nlohmann/json.hpp>\n",
            "cpp/include/fastmlp/io_read.hpp": "#include <nlohmann/json.hpp>\n#include <omp.h>\n",
        },
        [f"cpp/include/fastmlp/ops.hpp:{line}" for line in (3, 4, 5, 6)]
        + ["cpp/include/fastmlp/io_read.hpp:2"],
    ),
    rules.kernels_include_only_intrinsics_and_each_other: (
        {
            "cpp/src/kernels/math.hpp": "#include <immintrin.h>\n#include <cstddef>\n"
            '#include "math.hpp"\n#include <algorithm>\n#include "../check.hpp"\n'
        },
        ["cpp/src/kernels/math.hpp:4", "cpp/src/kernels/math.hpp:5"],
    ),
    rules.the_core_knows_no_python: (
        {
            "cpp/src/ops.cpp": "#include <pybind11/numpy.h>\n",
            "cpp/src/random.cpp": "#include <Python.h>\n",
        },
        ["cpp/src/ops.cpp:1", "cpp/src/random.cpp:1"],
    ),
    rules.reference_imports_only_numpy_and_training: (
        {
            "python/fastmlp/reference/network.py": "import math\nimport numpy.typing as npt\n"
            "from fastmlp.training import fit\nimport scipy\n\n"
            "def f():\n    from fastmlp import ops\n    from . import _core\n",
            "python/fastmlp/reference/ops.py": "import scipy\n",
        },
        [f"python/fastmlp/reference/network.py:{line}" for line in (4, 7, 8)]
        + ["python/fastmlp/reference/ops.py:1"],
    ),
    rules.the_twin_reaches_nothing_native_but_optimizers: (
        {
            "python/fastmlp/training.py": "from typing import TYPE_CHECKING\n"
            "from fastmlp._core import Optimizer\nfrom fastmlp.loop import run\n"
            "if TYPE_CHECKING:\n    from fastmlp._core import Network\n",
            "python/fastmlp/loop.py": "import numpy\nfrom fastmlp._core import permutation\n"
            "from fastmlp import Network\nimport fastmlp\n",
        },
        [f"python/fastmlp/loop.py:{line}" for line in (2, 3, 4)],
    ),
    rules.headers_include_without_circles: (
        {
            "cpp/src/a.hpp": '#include "gemm/b.hpp"\n',
            "cpp/src/gemm/b.hpp": '#include <vector>\n\n#include "c.hpp"\n',
            "cpp/src/gemm/c.hpp": '#include "a.hpp"\n',
            "cpp/src/user.cpp": '#include "a.hpp"\n',
        },
        ["cpp/src/gemm/c.hpp:1"],
    ),
    rules.modules_import_without_circles: (
        {
            "python/fastmlp/a.py": "from typing import TYPE_CHECKING\nimport fastmlp.b\n",
            "python/fastmlp/b.py": "def f():\n    from fastmlp.a import x\n",
            "python/fastmlp/c.py": "from fastmlp.formats import d\n",
            "python/fastmlp/formats/d.py": "if TYPE_CHECKING:\n    from fastmlp.c import x\n",
        },
        ["python/fastmlp/formats/d.py:2"],
    ),
    rules.every_native_operation_has_a_twin: (
        {
            "cpp/include/fastmlp/ops.hpp": "template <class T>\nvoid relu(MatrixView<T> Z);\n"
            "// void not_code(\ndouble hinge(int n);\n",
            "python/fastmlp/reference/ops.py": "def relu(Z): ...\n",
        },
        ["cpp/include/fastmlp/ops.hpp:4"],
    ),
    rules.every_activation_and_output_is_in_every_list: (
        {
            "cpp/include/fastmlp/options.hpp": "enum class Activation { kRelu, kLeakyRelu };\n"
            "enum class Output { kExp };\n",
            "cpp/src/kernels/activations.hpp": 'struct Relu {\n  kName = "relu";\n};\n'
            'struct LeakyRelu {\n  kName = "leaky_relu";\n};\n'
            "using Activations = List<Relu, LeakyRelu>;\n",
            "cpp/src/kernels/losses.hpp": 'struct Unit {\n  kName = "exp";\n};\n'
            'struct Softmax {\n  kName = "softmax";\n};\n'
            "using Outputs = List<Elementwise<Unit>, Softmax>;\n",
            "python/fastmlp/reference/ops.py": 'ACTIVATIONS = {"relu": 1}\n'
            'OUTPUTS: dict = {"exp": 1, "softmax": 2}\n',
        },
        ["cpp/src/kernels/activations.hpp:1", "cpp/src/kernels/losses.hpp:1"],
    ),
    rules.no_macros_that_make_code: (
        {"cpp/src/ops.cpp": "#define SIZE 3\n#  define FOR(i, n) for (int i = 0; i < n; ++i)\n"},
        ["cpp/src/ops.cpp:2"],
    ),
    rules.no_code_is_parked: (
        {"cpp/src/ops.cpp": "#if 01\n#endif\n#if 0\nold();\n#endif\n"},
        ["cpp/src/ops.cpp:3"],
    ),
    rules.no_flags_that_break_the_promise_on_bits: (
        {
            "CMakeLists.txt": "# never -ffast-math\nadd_compile_options(-march=native)\n",
            "CMakePresets.json": '{"flags": "-Ofast"}\n',
            "cpp/src/ops.cpp": '#pragma GCC optimize("fast-math")\n',
        },
        ["CMakeLists.txt:2", "CMakePresets.json:1", "cpp/src/ops.cpp:1"],
    ),
    rules.python_functions_are_short: (
        {
            "python/fastmlp/a.py": 'def short():\n    """Do.\n\n    Much.\n    """\n'
            + "    x = 1\n" * (rules.MAX_FUNCTION_LINES - 1)
            + "\n\nclass C:\n    def long(self):\n"
            + "        x = 1\n" * rules.MAX_FUNCTION_LINES
        },
        [f"python/fastmlp/a.py:{rules.MAX_FUNCTION_LINES + 8}"],
    ),
    rules.everything_public_has_a_docstring: (
        {
            "python/fastmlp/a.py": '"""A."""\n\ndef f():\n    return 1\n\n'
            'def _g():\n    return 1\n\nclass C:\n    """C."""\n\n'
            "    def m(self):\n        return 1\n\n    def stub(self): ...\n",
            "python/fastmlp/_b.py": "def f():\n    return 1\n",
        },
        ["python/fastmlp/a.py:3", "python/fastmlp/a.py:12", "python/fastmlp/_b.py:1"],
    ),
}

# No rule may complain about these: the one place of a thing, and comments
# and strings that look like a violation.
INNOCENT = {
    rules.PARALLEL: "#include <omp.h>\n#pragma omp parallel\nint n = omp_get_num_threads();\n",
    rules.CHECK: 'throw std::invalid_argument("no");\n',
    rules.ARRAY: "if (a.ndim() != 2) fail();\n",
    rules.ARRAY.replace(".hpp", ".cpp"): "if (a.dtype().kind() != 'f') fail();\n",
    "cpp/src/kernels/vec_avx2.hpp": "#include <immintrin.h>\n__m256 v = _mm256_setzero_ps();\n",
    "cpp/src/ops.cpp": "// no #pragma omp, no _mm256_add_ps, no std::invalid_argument\n"
    "/* #if 0\n#define F(x) x\n#include <Python.h> */\n"
    "const char* url = \"http://x.y\";  // '_mm_add_ps'\nconst long big = 1'000'000;  // omp_f\n",
    "CMakeLists.txt": "add_compile_options(-ffp-contract=off)  # never -ffast-math\n",
}

ALL_RULES = pytest.mark.parametrize("rule", PLANTED, ids=lambda rule: rule.__name__)


def write(root: Path, contents: dict[str, str]) -> None:
    for name, text in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


@ALL_RULES
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    found = rule(ROOT)
    assert not found, "\n".join([f"{len(found)} violation(s):", *found])


@ALL_RULES
def test_the_rule_catches_a_violation(rule: Rule, tmp_path: Path) -> None:
    contents, places = PLANTED[rule]
    write(tmp_path, contents)
    assert sorted(":".join(line.split(":")[:2]) for line in rule(tmp_path)) == sorted(places)


@ALL_RULES
def test_the_rule_allows_innocent_code(rule: Rule, tmp_path: Path) -> None:
    write(tmp_path, INNOCENT)
    assert rule(tmp_path) == []


def test_every_rule_is_applied() -> None:
    takes_root = {
        function
        for _, function in inspect.getmembers(rules, inspect.isfunction)
        if list(inspect.signature(function).parameters) == ["root"]
    }
    assert takes_root == set(PLANTED)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (rules.PARALLEL, "omp.h"),
        (rules.CHECK, "std::invalid_argument"),
        (rules.ARRAY, "dtype"),
        (rules.REFERENCE_OPS, "ACTIVATIONS"),
        (f"{rules.KERNELS}/vec_avx2.hpp", "immintrin.h"),
        (f"{rules.HEADERS}/ops.hpp", "void relu("),
        (f"{rules.HEADERS}/options.hpp", "enum class Activation {"),
        (f"{rules.KERNELS}/activations.hpp", "using Activations ="),
        (f"{rules.KERNELS}/losses.hpp", "using Outputs ="),
        (f"{rules.KERNELS}/losses.hpp", "using Losses ="),
    ],
)
def test_the_files_that_rules_name_hold_what_they_say(path: str, text: str) -> None:
    assert text in (ROOT / path).read_text(encoding="utf-8")


def test_the_compiler_may_make_no_fma_of_its_own() -> None:
    # Without the flag, GCC adds a few fma to the AVX2 kernels, and no golden digest shows them. On
    # AArch64 every file may contain fma.
    assert "-ffp-contract=off" in (ROOT / "cpp/CMakeLists.txt").read_text(encoding="utf-8")


def test_the_twin_has_every_name_that_the_built_package_lists() -> None:
    from fastmlp import _core, ops, reference

    assert [name for name in ops.__all__ if not callable(getattr(reference, name, None))] == []
    assert list(reference.ACTIVATIONS) == list(_core.ACTIVATIONS)
    assert list(reference.OUTPUTS) == list(_core.OUTPUTS)
    assert list(reference.LOSSES) == list(_core.LOSSES)


@pytest.mark.parametrize("name", sorted(fastmlp.__all__))
def test_every_public_name_is_documented(name: str) -> None:
    # pybind11 makes a docstring of the signature alone, which is no documentation.
    value = getattr(fastmlp, name)
    if callable(value):
        text = inspect.getdoc(value) or ""
        assert [line for line in text.split("\n") if line and not line.startswith(f"{name}(")]
