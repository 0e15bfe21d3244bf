"""`fastmlp export`: headers that give the library's bits under any compiler and options."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import fastmlp
from fastmlp.formats.cpp_header import cpp_header, save_cpp
from fastmlp.formats.exported_header import MOST_PARAMETERS, filled

COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
# As hostile to the bits as a compiler's user can be without -ffast-math, and the plainest there is.
OPTIONS = {
    "fast": ["-O3", "-march=native", "-ffp-contract=fast"],
    "plain": ["-O0"],
    "baseline": ["-O2"],
}
# Parts of -ffast-math, of which GCC tells by macros.
PARTS = ["-funsafe-math-optimizations", "-fassociative-math -fno-signed-zeros -fno-trapping-math"]
PARTS += ["-freciprocal-math", "-ffinite-math-only", "-fno-signed-zeros"]

# Every activation and output, a single column, several chunks of 4096 terms, several lanes.
NETWORKS = {
    f"{dtype}_{name}": fastmlp.Network(
        layers, hidden=hidden, output=output, dtype=dtype, seed=index
    )
    for dtype in ("float32", "float64")
    for index, (name, layers, hidden, output) in enumerate(
        [
            *((g, [5, 7, 3, 1], g, "sigmoid") for g in fastmlp._core.ACTIVATIONS),
            ("several", [5, 20, 4], "silu", "sigmoid"),
            ("classes", [5, 9, 40], "gelu", "softmax"),
            ("counts", [5, 6, 2], "softplus", "exp"),
            ("values", [5, 33, 2], "tanh", "identity"),
            ("straight", [5, 1], "relu", "identity"),
            ("chunks", [9000, 3, 1], "elu", "identity"),
            ("chunks_of_one", [4097, 1], "relu", "sigmoid"),
        ]
    )
}
ROWS = 300

MAIN = """
#include <cstdio>
#include <vector>

template <class T, class Forward>
void run(std::size_t n_in, std::size_t n_out, Forward forward) {
  std::vector<T> x(n_in), out(n_out);
  for (int row = 0; row < ROWS; ++row) {
    if (std::fread(x.data(), sizeof(T), n_in, stdin) != n_in) std::abort();
    forward(x.data(), out.data());
    std::fwrite(out.data(), sizeof(T), n_out, stdout);
  }
}

int main() {
"""


def rows_of(network):
    """Ordinary rows, rows so large and so small that every function meets its ends, and zeros."""
    random = np.random.default_rng(network.seed)
    scale = 10.0 ** random.choice([0, 0, 0, 1, 2, 4, -3, -20, -40], size=(ROWS, 1))
    X = random.normal(size=(ROWS, network.layers[0])) * scale
    X[:3] = [[0.0], [-0.0], [1e30]]
    return X.astype(network.dtype)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with the header of each network, and one program that runs them all."""
    folder = tmp_path_factory.mktemp("export")
    main = f"#include <cstdlib>\n#define ROWS {ROWS}\n"
    for name, network in NETWORKS.items():
        # Trained a little: biases that are not zero.
        network.biases[0][:] = np.linspace(-0.5, 0.5, len(network.biases[0]))
        network.biases[0][0] = np.finfo(network.dtype).smallest_subnormal
        save_cpp(network, folder / f"{name}.hpp")
        main += f'#include "{name}.hpp"\n'
    main += MAIN
    for name in NETWORKS:
        ns = f"fastmlp_{name}"
        main += f"  run<{ns}::Scalar>({ns}::n_inputs, {ns}::n_outputs, {ns}::forward);\n"
    (folder / "main.cpp").write_text(main + "}\n")
    (folder / "other.cpp").write_text(
        f'#include "{name}.hpp"\nvoid other({ns}::Scalar* x) {{ {ns}::forward(x, x); }}\n'
    )
    return folder


@pytest.fixture(scope="module")
def data():
    return {name: rows_of(network) for name, network in NETWORKS.items()}


@pytest.mark.sparse
@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler on PATH")
@pytest.mark.parametrize(
    "options", ["fast", "plain", pytest.param("baseline", marks=pytest.mark.sweep)]
)
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_the_header_gives_the_librarys_bits(source, data, compiler, options):
    program = source / f"{compiler}-{options}"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    command = [compiler, *flags, *OPTIONS[options], "main.cpp", "other.cpp", "-o", program]
    subprocess.run(command, cwd=source, check=True)
    given = b"".join(X.tobytes() for X in data.values())
    printed = subprocess.run([program], input=given, stdout=subprocess.PIPE, check=True).stdout
    for name, network in NETWORKS.items():
        expected = network.forward(data[name])
        found = np.frombuffer(printed[: expected.nbytes], network.dtype).reshape(expected.shape)
        printed = printed[expected.nbytes :]
        bits = f"u{network.dtype.itemsize}"
        same = (found.view(bits) == expected.view(bits)) | (np.isnan(found) & np.isnan(expected))
        where = np.argwhere(~same)
        assert not len(where), f"{name}, seed {network.seed}: first at {where[0]} of {len(where)}"
    assert not printed


@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler on PATH")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_a_product_and_a_sum_are_never_joined(tmp_path, compiler, dtype):
    """The networks above hardly ever show it: few functions add a product."""
    (tmp_path / "model.hpp").write_text(cpp_header(fastmlp.Network([1, 1], dtype=dtype)))
    (tmp_path / "main.cpp").write_text("""
    #include "model.hpp"
    #include <cstdio>
    namespace model = fastmlp_model;
    using V = model::detail::Vec<model::Scalar>;
    int main() {
      model::Scalar x[3];
      while (std::fread(x, sizeof x, 1, stdin) == 1) {
        const V joined[] = {V(x[0]) * V(x[1]) + V(x[2]), V(x[2]) - V(x[0]) * V(x[1])};
        std::fwrite(joined, sizeof joined, 1, stdout);
      }
    }
    """)
    command = [compiler, "-std=c++17", *OPTIONS["fast"], "main.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    a, b, c = np.random.default_rng(0).normal(size=(3, 1000)).astype(dtype)
    a[0], b[0], c[0] = -0.0, 1.0, -0.0  # whose product keeps its sign
    given = np.stack([a, b, c], axis=1).tobytes()
    printed = subprocess.run([tmp_path / "main"], input=given, stdout=subprocess.PIPE, check=True)
    found = np.frombuffer(printed.stdout, dtype).reshape(-1, 2)
    expected = np.stack([a * b + c, c - a * b], axis=1)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler on PATH")
@pytest.mark.parametrize(
    ("compiler", "flags"),
    [(name, flags) for name in COMPILERS for flags in ("-ffast-math", "-Ofast")]
    + [(name, flags) for name in COMPILERS if name == "g++" for flags in PARTS],
)
def test_fast_math_does_not_compile(source, compiler, flags):
    command = [compiler, "-std=c++17", *flags.split(), "-fsyntax-only", "other.cpp"]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "-ffast-math and its parts would change them" in run.stderr


# Keywords, alternative tokens, macros, functions and types of system headers, and the header's own
# names.
NAMES = ["and", "class", "co_await", "main", "std", "EOF", "NULL", "errno", "linux", "int8_t"]
NAMES += ["exp", "gamma", "index", "log", "remove", "Scalar", "detail", "fastmlp", "3d"]
SYSTEM = ["cmath", "cstdint", "cstdio", "errno.h", "math.h", "signal.h", "string.h", "unistd.h"]


@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler on PATH")
@pytest.mark.parametrize("standard", ["gnu++17", pytest.param("c++20", marks=pytest.mark.sweep)])
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_no_name_clashes_with_another_header(tmp_path, compiler, standard):
    network = fastmlp.Network([1, 1])
    includes = "".join(f"#include <{header}>\n" for header in SYSTEM)
    calls = ""
    for i, name in enumerate(NAMES):
        namespace = save_cpp(network, tmp_path / f"{i}.hpp", name)
        assert namespace == f"fastmlp_{name}"
        includes += f'#include "{i}.hpp"\n'
        calls += f"  {namespace}::forward(x, x);\n"
    main = f"{includes}int main() {{\n  float x[1] = {{}};\n{calls}}}\n"
    (tmp_path / "main.cpp").write_text(main)
    command = [compiler, f"-std={standard}", "-fsyntax-only", "main.cpp"]
    subprocess.run(command, cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("file", "namespace"),
    [
        ("linux.hpp", "fastmlp_linux"),
        ("3d.hpp", "fastmlp_3d"),
        ("my model-2.hpp", "fastmlp_my_model_2"),
        ("__x__y__.hpp", "fastmlp_x_y"),
        ("größe.hpp", "fastmlp_gr_e"),
    ],
)
def test_the_namespace_follows_from_the_name_of_the_file(tmp_path, file, namespace):
    assert save_cpp(fastmlp.Network([1, 1]), tmp_path / file) == namespace
    assert f"namespace {namespace} {{" in (tmp_path / file).read_text()


def test_the_command_writes_what_the_function_returns(tmp_path):
    network = fastmlp.Network([2, 3, 1], seed=1)
    network.save(tmp_path / "model.safetensors")
    command = [
        sys.executable,
        "-m",
        "fastmlp",
        "export",
        "model.safetensors",
        "--cpp",
        "my-model.hpp",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    written = (tmp_path / "my-model.hpp").read_text()
    assert written == cpp_header(network, "my_model")
    assert run.stdout.startswith("my-model.hpp: fastmlp_my_model::forward, Network([2, 3, 1]")
    subprocess.run([*command, "--namespace", "other"], cwd=tmp_path, check=True)
    assert (tmp_path / "my-model.hpp").read_text() == cpp_header(network, "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.safetensors", "--cpp", "x.hpp"], "no.safetensors"),
        (["model.safetensors", "--cpp", "no/x.hpp"], "no/x.hpp"),
        (["model.safetensors", "--cpp", "x.hpp", "--namespace", "a b"], "namespace is 'a b'"),
        (["model.safetensors"], "--cpp"),
        (["model.safetensors", "--cpp", "model.safetensors"], "the file that is read"),
        (["model.safetensors", "--cpp", "___.hpp"], "--namespace"),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(tmp_path, arguments, message):
    fastmlp.Network([2, 1]).save(tmp_path / "model.safetensors")
    command = [sys.executable, "-m", "fastmlp", "export", *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_what_cannot_be_a_header_is_refused():
    small = fastmlp.Network([2, 1])
    for namespace in ("", "a b", "größe", "x; int y", "__", "_X", "_x", "a__b", "a::b", "a\n"):
        with pytest.raises(ValueError, match="namespace is"):
            cpp_header(small, namespace)
    for bad in (np.inf, -np.inf, np.nan):
        small.biases[0][0] = bad
        with pytest.raises(ValueError, match="not finite"):
            cpp_header(small)
    with pytest.raises(ValueError, match=f"at most {MOST_PARAMETERS}"):
        cpp_header(fastmlp.Network([MOST_PARAMETERS, 1]))


def test_the_header_needs_the_standard_library_only():
    text = cpp_header(fastmlp.Network([2, 3, 1], hidden="gelu"))
    assert set(re.findall(r"#include (\S+)", text)) == {
        f"<{name}>" for name in ("cmath", "cstddef", "cstdint", "cstring")
    }
    assert "__builtin" not in text


@pytest.mark.parametrize(
    "text",
    [
        "struct Relu {};\n",
        "// [export: begin]\nstruct Relu {};\n",
        "struct Relu {};\n// [export: end]\n",
        "// [export: end]\nstruct Relu {};\n// [export: begin]\n",
        "// [export: begin]\n// [export: begin]\n// [export: end]\n// [export: end]\n",
        " // [export: begin]\nstruct Relu {};\n // [export: end]\n",
    ],
)
def test_a_kernel_source_without_marked_parts_is_an_error(tmp_path, monkeypatch, text):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "kernel_table.hpp").write_text(text)
    monkeypatch.setattr(fastmlp._core, "__file__", str(tmp_path / "_core.so"))
    with pytest.raises(RuntimeError, match=r"kernel_table\.hpp has no parts between"):
        cpp_header(fastmlp.Network([2, 1]))


@pytest.mark.parametrize("place", ["hidden", "output"])
def test_an_activation_without_a_struct_is_an_error(monkeypatch, place):
    class Renamed(fastmlp.Network):
        pass

    monkeypatch.setattr(Renamed, place, {"hidden": ("hard_tanh",), "output": "hard_tanh"}[place])
    source = {"hidden": "activations.hpp", "output": "losses.hpp"}[place]
    with pytest.raises(RuntimeError, match=f"{source} have no struct with kName hard_tanh"):
        cpp_header(Renamed([2, 3, 1]))


def test_a_template_with_other_placeholders_is_an_error():
    for template in ("@A@", "@A@ @B@ @C@", "nothing"):
        with pytest.raises(RuntimeError, match="placeholders"):
            filled(template, {"A": "1", "B": "2"})
    assert filled("@A@ @B@ @A@ x@y", {"A": "1", "B": "@B@"}) == "1 @B@ 1 x@y"
