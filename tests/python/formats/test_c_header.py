"""`fastmlp export --c`: C headers that give the library's bits on any machine."""

import re
import shutil
import subprocess

import numpy as np
import pytest

import fastmlp
import fastmlp.tabular
from fastmlp.cli.app import run
from fastmlp.cli.errors import guarded
from fastmlp.formats.c_header import c_header, save_c

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
ARM = shutil.which("arm-none-eabi-gcc") and shutil.which("qemu-system-arm")
WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
# As hostile to the bits as a compiler's user can be without -ffast-math, and the plainest there is.
OPTIONS = {
    "fast": ["-std=gnu99", "-O3", "-march=native", "-ffp-contract=fast"],
    "plain": ["-std=c99", "-O0"],
    "baseline": ["-std=c99", "-O2"],
}

# Every activation and output, no hidden layer, a single unit, several chunks of 4096 terms.
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
            ("counts", [5, 6, 8, 7, 2], "softplus", "exp"),
            ("values", [5, 33, 2], "tanh", "identity"),
            ("straight", [5, 1], "relu", "identity"),
            ("chunks", [9000, 3, 1], "elu", "identity"),
            ("chunks_of_one", [4097, 1], "relu", "sigmoid"),
        ]
    )
}
ROWS = 300

MAIN = """
#define RUN(name, type) \\
  { \\
    static type x[name##_n_inputs], out[name##_n_outputs + 1], scratch[name##_n_scratch + 1]; \\
    int row; \\
    scratch[name##_n_scratch] = out[name##_n_outputs] = 7; \\
    for (row = 0; row < ROWS; ++row) { \\
      if (fread(x, sizeof x, 1, stdin) != 1) return 1; \\
      name##_forward(x, out, scratch); \\
      if (scratch[name##_n_scratch] != 7 || out[name##_n_outputs] != 7) return 2; \\
      fwrite(out, sizeof out - sizeof *out, 1, stdout); \\
    } \\
  }
int main(void) {
"""


def rows_of(network, rows=ROWS):
    """Ordinary rows, rows so large and so small that every function meets its ends, and zeros."""
    random = np.random.default_rng(network.seed)
    scale = 10.0 ** random.choice([0, 0, 0, 1, 2, 4, -3, -20, -40], size=(rows, 1))
    X = random.normal(size=(rows, network.layers[0])) * scale
    X[:3] = [[0.0], [-0.0], [1e30]]
    return X.astype(network.dtype)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A folder with the header of each network, and one program that runs them all."""
    folder = tmp_path_factory.mktemp("export")
    main = f"#include <stdio.h>\n#define ROWS {ROWS}\n"
    runs = ""
    for name, network in NETWORKS.items():
        network.biases[0][:] = np.linspace(-0.5, 0.5, len(network.biases[0]))
        network.biases[0][0] = np.finfo(network.dtype).smallest_subnormal
        prefix = save_c(network, folder / f"{name}.h")
        main += f'#include "{name}.h"\n'
        scalar = {"float32": "float", "float64": "double"}[network.dtype.name]
        runs += f"  RUN({prefix}, {scalar})\n"
    (folder / "main.c").write_text(f"{main}{MAIN}{runs}  return 0;\n}}\n")
    return folder


def check_bits(printed, networks=NETWORKS, rows=ROWS):
    for name, network in networks.items():
        expected = network.forward(rows_of(network, rows))
        found = np.frombuffer(printed[: expected.nbytes], network.dtype).reshape(expected.shape)
        printed = printed[expected.nbytes :]
        bits = f"u{network.dtype.itemsize}"
        same = (found.view(bits) == expected.view(bits)) | (np.isnan(found) & np.isnan(expected))
        where = np.argwhere(~same)
        assert not len(where), f"{name}, seed {network.seed}: first at {where[0]} of {len(where)}"
    assert not printed


def compiled(folder, main, given=b""):
    """What a program prints that is compiled with the first compiler."""
    (folder / "main.c").write_text(main)
    command = [COMPILERS[0], *WARNINGS, "-std=c99", "main.c", "-lm", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([folder / "main"], input=given, capture_output=True, check=True).stdout


@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
@pytest.mark.parametrize(("dtype", "scalar"), [("float32", "float"), ("float64", "double")])
def test_a_network_of_every_activation_has_the_librarys_bits(tmp_path, dtype, scalar):
    hidden = fastmlp._core.ACTIVATIONS
    layers = [5, *range(20, 20 - len(hidden), -1), 3]
    network = fastmlp.Network(layers, hidden=hidden, output="softmax", dtype=dtype, seed=0)
    network.biases[0][:] = np.linspace(-2, 2, 20)
    main = f'#include <stdio.h>\n#define ROWS {ROWS}\n#include "model.h"\n{MAIN}'
    main += f"  RUN({save_c(network, tmp_path / 'model.h')}, {scalar})\n  return 0;\n}}\n"
    check_bits(compiled(tmp_path, main, rows_of(network).tobytes()), {"all": network})


@pytest.mark.sweep
@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_the_header_gives_the_librarys_bits(source, compiler, options):
    program = source / f"{compiler}-{options}"
    command = [compiler, *WARNINGS, *OPTIONS[options], "main.c", "-lm", "-o", program]
    subprocess.run(command, cwd=source, check=True)
    given = b"".join(rows_of(network).tobytes() for network in NETWORKS.values())
    check_bits(subprocess.run([program], input=given, capture_output=True, check=True).stdout)


@pytest.mark.sweep
@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_without_fma_the_outputs_differ_by_rounding(source, compiler):
    program = source / f"{compiler}-no-fma"
    command = [compiler, "-DFASTMLP_NO_FMA", *WARNINGS, "-std=c99", "-O1", "main.c", "-lm"]
    subprocess.run([*command, "-o", program], cwd=source, check=True)
    data = {
        name: np.random.default_rng(0).normal(size=(ROWS, network.layers[0])).astype(network.dtype)
        for name, network in NETWORKS.items()
    }
    given = b"".join(X.tobytes() for X in data.values())
    printed = subprocess.run([program], input=given, capture_output=True, check=True).stdout
    for name, network in NETWORKS.items():
        expected = network.forward(data[name])
        found = np.frombuffer(printed[: expected.nbytes], network.dtype).reshape(expected.shape)
        printed = printed[expected.nbytes :]
        tolerance = {"float32": 1e-5, "float64": 1e-13}[network.dtype.name]
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max(), name
        assert name != "float32_gelu" or (found != expected).any()


@pytest.mark.sweep
@pytest.mark.parametrize("standard", ["c++11", "c++20"])
@pytest.mark.parametrize("compiler", [c for c in ("g++", "clang++") if shutil.which(c)] or ["none"])
def test_the_header_is_valid_cpp(source, compiler, standard):
    if compiler == "none":
        pytest.skip("no C++ compiler on PATH")
    command = [compiler, "-x", "c++", f"-std={standard}", *WARNINGS, "-fsyntax-only", "main.c"]
    subprocess.run(command, cwd=source, check=True)


@pytest.mark.sweep
@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
@pytest.mark.parametrize("option", ["-ffast-math", "-Ofast", "-fsingle-precision-constant"])
def test_options_that_change_the_outputs_do_not_compile(source, compiler, option):
    (source / "double.c").write_text('#include "float64_tanh.h"\n')
    if (compiler, option) == ("clang", "-fsingle-precision-constant"):
        option = "-cl-single-precision-constant"
    command = [compiler, "-std=c99", option, "-fsyntax-only", "double.c"]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert re.search("-ffast-math and its parts|fastmlp_float64_tanh_doubles", ended.stderr)


@pytest.mark.sparse
@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
@pytest.mark.parametrize("scalar", ["float", "double"])
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_a_product_and_a_sum_are_never_joined(tmp_path, compiler, scalar):
    """The networks above hardly ever show it: few functions add a product."""
    dtype = {"float": "float32", "double": "float64"}[scalar]
    save_c(fastmlp.Network([1, 1, 1], hidden="tanh", dtype=dtype), tmp_path / "model.h")
    (tmp_path / "main.c").write_text(
        """
    #include "model.h"
    #include <stdio.h>
    int main(void) {
      SCALAR x[3];
      while (fread(x, sizeof x, 1, stdin) == 1) {
        const SCALAR joined[] = {fastmlp_model_mul(x[0], x[1]) + x[2],
                                 x[2] - fastmlp_model_mul(x[0], x[1])};
        fwrite(joined, sizeof joined, 1, stdout);
      }
      return 0;
    }
    """.replace("SCALAR", scalar)
    )
    command = [compiler, *OPTIONS["fast"], "main.c", "-lm", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    a, b, c = np.random.default_rng(0).normal(size=(3, 1000)).astype(dtype)
    given = np.stack([a, b, c], axis=1).tobytes()
    printed = subprocess.run([tmp_path / "main"], input=given, capture_output=True, check=True)
    found = np.frombuffer(printed.stdout, dtype).reshape(-1, 2)
    assert found.tobytes() == np.stack([a * b + c, c - a * b], axis=1).tobytes()


@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
def test_fma_rounds_once_without_an_instruction_for_it(tmp_path):
    """Products so near to the middle between two floats that double precision cannot tell."""
    save_c(fastmlp.Network([1, 1]), tmp_path / "model.h")
    main = """
    #include "model.h"
    #include <stdio.h>
    int main(void) {
      const float tiny = 1.1920929e-07F;  /* 2^-23 */
      int i, j, m, sign;
      for (i = -9; i < 9; ++i) for (j = -9; j < 9; ++j) for (m = 0; m < 4; ++m)
        for (sign = -1; sign < 2; sign += 2) {
          const float a = 1 + (float)i * tiny, b = 1 + (float)j * tiny;
          const float c = (float)sign * (16777216.0F + 2 * (float)m);
          volatile float exact = fmaf(a, b, c);
          volatile float twice = (float)((double)a * (double)b + (double)c);
          if (fastmlp_model_fma(a, b, c) != exact) puts("wrong");
          if (twice != exact) puts("hard");
        }
      return 0;
    }
    """
    lines = compiled(tmp_path, main).split()
    assert b"wrong" not in lines
    assert lines.count(b"hard") > 50  # so that the test can see it


STARTUP = """
#include <stdint.h>
extern char stack_end;
extern void _start(void);
void reset(void) {
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: switches the floating-point unit on */
  _start();
}
struct vectors { char *stack; void (*entry)(void); };
__attribute__((section(".vectors"), used)) const struct vectors vectors = {&stack_end, reset};
"""
LINKER = """
ENTRY(reset)
MEMORY { ROM (rx) : ORIGIN = 0, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) KEEP(*(.init)) KEEP(*(.fini)) } > ROM
  .ARM.exidx : { __exidx_start = .; *(.ARM.exidx*) __exidx_end = .; } > ROM
  .init_array : {
    __preinit_array_start = .; KEEP(*(.preinit_array*)) __preinit_array_end = .;
    __init_array_start = .; KEEP(*(.init_array*)) __init_array_end = .;
    __fini_array_start = .; KEEP(*(.fini_array*)) __fini_array_end = .;
  } > ROM
  .data : { *(.data*) } > RAM
  .bss : { __bss_start__ = .; *(.bss*) *(COMMON) __bss_end__ = .; end = .; __end__ = .; } > RAM
  stack_end = ORIGIN(RAM) + LENGTH(RAM);
}
"""
# QEMU's boards with a Cortex-M3 (no floating-point unit), -M4 (fma of floats) and -M7 (of doubles).
BOARDS = {
    "mps2-an385": ["-mcpu=cortex-m3"],
    "mps2-an386": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
    "mps2-an500": ["-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
}


@pytest.mark.sweep
@pytest.mark.skipif(not ARM, reason="gcc-arm-none-eabi and qemu-system-arm are not installed")
@pytest.mark.parametrize("board", BOARDS)
def test_a_microcontroller_computes_the_librarys_bits(source, tmp_path, board):
    networks = {
        name: network
        for name, network in NETWORKS.items()
        if "chunks" not in name and (network.dtype == np.float32 or board == "mps2-an500")
    }
    rows = 20
    main = (source / "main.c").read_text().replace(f"ROWS {ROWS}", f"ROWS {rows}")
    kept = [
        line
        for line in main.splitlines()
        if not re.match(r'  RUN|#include "', line)
        or re.search(r"(?:fastmlp_|\")(float\w+)", line)[1] in networks
    ]
    files = 'freopen("in", "rb", stdin); freopen("out", "wb", stdout);'
    text = "\n".join(kept).replace("main(void) {", f"main(void) {{ {files}") + "\n"
    (tmp_path / "main.c").write_text(text)
    (tmp_path / "startup.c").write_text(STARTUP)
    (tmp_path / "board.ld").write_text(LINKER)
    (tmp_path / "in").write_bytes(b"".join(rows_of(n, rows).tobytes() for n in networks.values()))
    command = ["arm-none-eabi-gcc", *BOARDS[board], "-mthumb", "-O2", "-std=c99", *WARNINGS[:3]]
    command += [f"-I{source}", "--specs=rdimon.specs", "-T", "board.ld", "main.c", "startup.c"]
    subprocess.run([*command, "-lm", "-o", "program"], cwd=tmp_path, check=True)
    command = ["qemu-system-arm", "-M", board, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", "program"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300, stdin=subprocess.DEVNULL)
    check_bits((tmp_path / "out").read_bytes(), networks, rows)


@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
def test_names_and_labels_are_tables(tmp_path):
    network = fastmlp.Network([2, 3], output="softmax", seed=0)
    network.feature_names = ['a "b" \\ /* ??/ */', "größe\n"]
    network.classes = ["no", "yes", "%d\x7f"]
    save_c(network, tmp_path / "model.h")
    X = np.random.default_rng(0).normal(size=(30, 2)).astype("f4")
    rows = ", ".join(f"{{{float(a).hex()}F, {float(b).hex()}F}}" for a, b in X)
    main = """
    #include "model.h"
    #include <stdio.h>
    static const float X[30][2] = {ROWS};
    int main(void) {
      float out[fastmlp_model_n_outputs], scratch[fastmlp_model_n_scratch];
      int i;
      for (i = 0; i < 2; ++i) printf("%s|", fastmlp_model_feature_names[i]);
      for (i = 0; i < 30; ++i) {
        fastmlp_model_forward(X[i], out, scratch);
        printf("%s|", fastmlp_model_classes[fastmlp_model_label(out)]);
      }
      return 0;
    }
    """
    found = compiled(tmp_path, main.replace("ROWS", rows)).decode().split("|")[:-1]
    assert tuple(found[:2]) == network.feature_names
    assert found[2:] == network.predict(X).tolist()
    assert len(set(found[2:])) == 3


@pytest.mark.skipif(not COMPILERS, reason="no C compiler on PATH")
def test_the_label_of_one_unit_begins_at_a_half(tmp_path):
    save_c(fastmlp.Network([1, 1]), tmp_path / "model.h")
    main = """
    #include "model.h"
    #include <stdio.h>
    int main(void) {
      const float out[3] = {0.4999F, 0.5F, 1.0F};
      int i;
      for (i = 0; i < 3; ++i) printf("%d", fastmlp_model_label(out + i));
      return 0;
    }
    """
    assert compiled(tmp_path, main) == b"011"
    assert "_label" not in c_header(fastmlp.Network([1, 2]))  # several answers
    assert "_label" not in c_header(fastmlp.Network([1, 1], output="identity"))


def test_the_header_allocates_nothing_and_needs_headers_of_the_language_only():
    text = c_header(fastmlp.Network([2, 30, 20, 10, 1], hidden="gelu"))
    assert set(re.findall(r"#include (\S+)", text)) == {
        f"<{name}>" for name in ("float.h", "math.h", "stddef.h", "stdint.h", "string.h")
    }
    assert not re.search(r"alloc|printf|__builtin|static (?!inline|const)", text.split("*/", 1)[1])
    assert "n_scratch = 50" in text  # 30 and 20; the third layer takes the place of the first


def test_a_header_has_only_the_functions_that_it_needs():
    small, large = (
        c_header(fastmlp.Network([2, 3, 2], hidden=hidden, output="identity"))
        for hidden in ("relu", "mish")
    )
    assert "_exp(" not in small
    assert "_dense_1(" not in small
    assert "_exp(" in large
    assert "_expm1(" not in large


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_placeholder_is_left(dtype):
    hidden = fastmlp._core.ACTIVATIONS
    for output in fastmlp._core.OUTPUTS:
        layers = [2] * (len(hidden) + 2)
        text = c_header(fastmlp.Network(layers, hidden=hidden, output=output, dtype=dtype))
        assert not re.search(r"@|\bnn_|\bk[A-Z]\w|\bScalar\b|\bBits\b|\binf\b|--\d", text)


def test_what_cannot_be_a_header_is_refused():
    small = fastmlp.Network([2, 1])
    for namespace in ("", "a b", "größe", "__", "_x", "a__b", "a::b", "a\n"):
        with pytest.raises(ValueError, match="namespace is"):
            c_header(small, namespace)
    small.biases[0][0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        c_header(small)
    with pytest.raises(ValueError, match="at most 1000000"):
        c_header(fastmlp.Network([1_000_000, 1]))
    with pytest.raises(ValueError, match=r"TabularClassifier.*C\+\+ header"):
        c_header(fastmlp.tabular.TabularClassifier())


def test_the_command_writes_what_the_function_returns(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = fastmlp.Network([2, 3, 1], seed=1)
    network.save("model.safetensors")
    assert run(["export", "model.safetensors", "--c", "my-model.h"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("my-model.h: fastmlp_my_model_forward, Network([2, 3, 1]")
    assert (tmp_path / "my-model.h").read_text() == c_header(network, "my_model")
    assert run(["export", "model.safetensors", "--c", "-", "--namespace", "other"]) == 0
    assert capsys.readouterr().out == c_header(network, "other")


def test_the_command_refuses_a_tabular_model(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table, y = {"a": ["x", "y"] * 20}, ["p", "q"] * 20
    fastmlp.tabular.TabularClassifier(epochs=1).fit(table, y).save("model.safetensors")
    assert guarded(lambda: run(["export", "model.safetensors", "--c", "model.h"])) == 2
    printed = capsys.readouterr().err
    assert "the model is a TabularClassifier; a C header can be of a Network" in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "model.h").exists()
