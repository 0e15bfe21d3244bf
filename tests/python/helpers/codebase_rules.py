"""The rules of the code base (CONTRIBUTING.md, "Rules"), as far as a program can check them.

Each rule takes the root of a tree and returns the violations as `file:line: what`.
test_codebase.py applies all of them. To add a rule, write it here and list it there with a
violation that it catches.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_FUNCTION_LINES = 60  # without the docstring

CPP = {".hpp", ".cpp", ".h", ".cc"}
PYTHON = {".py", ".pyi"}
PARALLEL = "cpp/src/threads/parallel.hpp"
CHECK = "cpp/src/check.hpp"
KERNELS = "cpp/src/kernels"
HEADERS = "cpp/include/fastmlp"
ARRAY = "python/bindings/array.hpp"  # and the array*.cpp behind it
PACKAGE = "python/fastmlp"
REFERENCE = f"{PACKAGE}/reference"
REFERENCE_OPS = f"{REFERENCE}/ops.py"

INTRINSICS_HEADER = r"<(\w*intrin|arm_neon|arm_sve)\.h>"
# Literals are matched too, because a string may contain what looks like a comment.
COMMENT_OR_LITERAL = re.compile(
    r"""//[^\n]* | /\*.*?\*/
        | R"(?P<mark>[^()\s]*)\(.*?\)(?P=mark)" | "(?:\\.|[^"\\\n])*"
        | (?<![\da-fA-F])'(?:\\.|[^'\\\n])+'
    """,
    re.DOTALL | re.VERBOSE,
)


# Reading


def files(root: Path, *places: str, suffixes: set[str] | None = None) -> list[Path]:
    """The files in `places`, which are files or folders, except in hidden and cache folders."""
    found = []
    for place in places:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            inner = file.relative_to(path).parts
            hidden = any(part.startswith((".", "__pycache__")) for part in inner)
            if file.is_file() and not hidden and (suffixes is None or file.suffix in suffixes):
                found.append(file)
    return found


def code(path: Path) -> str:
    """The text of a file without its comments; lines keep their numbers."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in CPP:

        def blank(match: re.Match[str]) -> str:
            return "\n" * match[0].count("\n") if match[0].startswith("/") else match[0]

        return COMMENT_OR_LITERAL.sub(blank, text)
    return text if path.suffix == ".json" else re.sub(r"(?m)(^|\s)#.*$", "", text)


def violation(root: Path, path: Path, line: int, what: str) -> str:
    return f"{path.relative_to(root).as_posix()}:{line}: {what}"


def lines_with(root: Path, pattern: str, paths: list[Path], rule: str) -> list[str]:
    return [
        violation(root, path, number, f"{line.strip()}  <- {rule}")
        for path in paths
        for number, line in enumerate(code(path).split("\n"), start=1)
        if re.search(pattern, line)
    ]


def includes(root: Path, paths: list[Path], allowed: str, rule: str) -> list[str]:
    """Every include that does not match the pattern `allowed`."""
    return lines_with(root, rf"^\s*#\s*include\s+(?!(?:{allowed})\s*$)", paths, rule)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, full name) of every import that happens at run time; `from a import b` gives `a.b`."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = ".".join(filter(None, ["fastmlp" if node.level else "", node.module]))
        yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imports(child)


# Rules: one thing, one place


def openmp_only_in_parallel_hpp(root: Path) -> list[str]:
    paths = [path for path in files(root, "cpp", "python", suffixes=CPP) if path != root / PARALLEL]
    pattern = r"\bomp\.h\b|#\s*pragma\s+omp\b|_Pragma\(\s*\"omp\b|\bomp_[a-z]"
    return lines_with(root, pattern, paths, f"OpenMP belongs in {PARALLEL}")


def intrinsics_only_under_kernels(root: Path) -> list[str]:
    paths = [
        path
        for path in files(root, "cpp", "python", suffixes=CPP)
        if root / KERNELS not in path.parents
    ]
    pattern = (
        INTRINSICS_HEADER + r"|\b_mm\d*_\w+|\b__m(64|128|256|512)|\b__mmask\d+"
        r"|\bv\w+q?_[fsu](8|16|32|64)\b|\b(float|u?int)\d+x\d+(x\d)?_t\b"
    )
    return lines_with(root, pattern, paths, f"intrinsics belong under {KERNELS}")


def arguments_are_refused_only_in_check_hpp(root: Path) -> list[str]:
    paths = [path for path in files(root, "cpp", suffixes=CPP) if path != root / CHECK]
    pattern = r"\b(invalid_argument|out_of_range|domain_error|length_error)\b"
    return lines_with(root, pattern, paths, f"arguments are refused in {CHECK}")


def arrays_are_checked_only_in_array_files(root: Path) -> list[str]:
    paths = [
        path
        for path in files(root, "python/bindings", suffixes=CPP)
        if not path.stem.startswith("array")
    ]
    pattern = (
        r"\bPyArray_|[.>](dtype|flags|ndim|itemsize|writeable|kind|byteorder)\(\)"
        r"|isinstance<\s*py::(array|buffer)|py::array::(c_style|f_style|forcecast)|\buintptr_t\b"
    )
    return lines_with(root, pattern, paths, f"arrays are checked in {ARRAY}")


# Rules: product and measurement apart


def the_library_holds_nothing_that_only_measures(root: Path) -> list[str]:
    rule = "measuring code belongs in benchmarks/"
    pattern = r"(?i)roofline|benchmark|\bbench_|_bench\b|\bfloor\.hpp|fma_?peak"
    paths = files(root, "cpp", "python/bindings", suffixes=CPP | {".txt"})
    named = [path for path in paths if re.search(pattern + r"|^floor\.", path.name)]
    return [violation(root, path, 1, rule) for path in named] + lines_with(
        root, pattern, paths, rule
    )


# Rules: direction


def installed_headers_include_only_std_and_each_other(root: Path) -> list[str]:
    rule = "installed headers include the standard library and <fastmlp/...> only"
    own = "|".join(path.name for path in files(root, HEADERS)).replace(".", r"\.")
    files_of_io = [path for path in files(root, HEADERS) if re.match(r"io\b|io_", path.stem)]
    others = [path for path in files(root, HEADERS) if path not in files_of_io]
    allowed = rf"<[a-z_]+>|<fastmlp/({own})>"
    with_json = rf"{allowed}|<nlohmann/json\.hpp>|<sys/file\.h>|<unistd\.h>"  # flock, fsync
    return includes(root, others, allowed, rule) + includes(root, files_of_io, with_json, rule)


def kernels_include_only_intrinsics_and_each_other(root: Path) -> list[str]:
    rule = "kernels include intrinsics, <cstddef>, <cstdint> and each other only"
    own = "|".join(path.name for path in files(root, KERNELS)).replace(".", r"\.")
    allowed = rf"{INTRINSICS_HEADER}|<cstddef>|<cstdint>|\"({own})\""
    return includes(root, files(root, KERNELS, suffixes=CPP), allowed, rule)


def the_core_knows_no_python(root: Path) -> list[str]:
    pattern = r"pybind11|\bPython\.h\b|\bPy[A-Z]\w+\(|numpy/"
    return lines_with(root, pattern, files(root, "cpp", suffixes=CPP), "cpp/ knows no Python")


def reference_imports_only_numpy_and_training(root: Path) -> list[str]:
    ours = ("training", "_own_loss", "_trainable", "optimizers", "reference")
    return [
        violation(root, path, line, f"imports {name}, which is not NumPy, training or standard")
        for path in files(root, REFERENCE, suffixes={".py"})
        for line, name in imports(tree(path))
        if name.split(".")[0] not in sys.stdlib_module_names | {"numpy"}
        and not name.startswith(tuple(f"fastmlp.{module}." for module in ours))
    ]


# The float mode computes nothing.
NATIVE_OPTIMIZERS = {
    "fastmlp._core",
    "fastmlp._core.Optimizer",
    "fastmlp._core.default_float_mode",
    "fastmlp._core.has_default_float_mode",
}


def the_twin_reaches_nothing_native_but_optimizers(root: Path) -> list[str]:
    """Looks at reference/, training.py and everything that they import, directly or indirectly."""
    found: list[str] = []
    waiting = files(root, REFERENCE, f"{PACKAGE}/training.py", suffixes={".py"})
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        for line, name in imports(tree(path)):
            if name.split(".")[0] != "fastmlp" or name in NATIVE_OPTIMIZERS:
                continue
            module = module_of(root, name)
            if module is None:
                rule = "the twin and training.py take nothing native but optimizers"
                found.append(violation(root, path, line, f"imports {name}; {rule}"))
            elif module not in seen:
                seen.add(module)
                waiting.append(module)
    return found


def module_of(root: Path, name: str) -> Path | None:
    """The file that an import of `name` reads; `name` is a module or something defined in one."""
    parts = name.split(".")[1:]
    for end in range(len(parts), 0, -1):
        path = root / PACKAGE / "/".join(parts[:end])
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def circles(root: Path, edges: dict[Path, dict[Path, int]], verb: str) -> list[str]:
    """The step that closes each circle; `edges` gives the line on which a file names another."""
    found = []
    for start in edges:
        # Walk over all files that `start` reaches. A circle is reported once, for its first file.
        waiting, seen = [start], set()
        while waiting:
            here = waiting.pop()
            for there, line in edges.get(here, {}).items():
                if there == start and start == min(seen | {start}):
                    what = f"{verb} {start.relative_to(root).as_posix()}, which comes back here"
                    found.append(violation(root, here, line, what))
                elif there not in seen:
                    seen.add(there)
                    waiting.append(there)
    return found


def headers_include_without_circles(root: Path) -> list[str]:
    paths = files(root, "cpp", "python/bindings", suffixes=CPP)
    edges: dict[Path, dict[Path, int]] = {path: {} for path in paths}
    for path in paths:
        for number, line in enumerate(code(path).split("\n"), start=1):
            if match := re.match(r'\s*#\s*include\s+["<]([^">]+)[">]', line):
                places = (path.parent, root / "cpp/src", root / "cpp/include")
                for file in (place / match[1] for place in places):
                    if file in edges:
                        edges[path].setdefault(file, number)
    return circles(root, edges, "includes")


def modules_import_without_circles(root: Path) -> list[str]:
    """Looks at imports at the top of a module, also for type checking, but not in functions."""
    paths = files(root, PACKAGE, suffixes={".py"})
    edges: dict[Path, dict[Path, int]] = {path: {} for path in paths}
    for path in paths:
        for node in tree(path).body:
            inner = node.body if isinstance(node, ast.If | ast.Try) else [node]
            for statement in inner:
                for line, name in names_imported(statement):
                    file = module_of(root, name) if name.startswith("fastmlp.") else None
                    if file is not None and file != path:
                        edges[path].setdefault(file, line)
    return circles(root, edges, "imports")


def names_imported(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from imports(node)


# Rules: the twin is complete


def every_native_operation_has_a_twin(root: Path) -> list[str]:
    twins = {
        node.name
        for path in files(root, REFERENCE, suffixes={".py"})
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef)
    }
    return [
        violation(root, path, number, f"{match[1]} has no twin in {REFERENCE_OPS}")
        for path in files(root, f"{HEADERS}/ops.hpp")
        for number, line in enumerate(code(path).split("\n"), start=1)
        if (match := re.match(r"(?:void|double|T) (\w+)\(", line)) and match[1] not in twins
    ]


# Header and list of the structs, the enum in options.hpp, and the twin's table.
LISTS = (
    (f"{KERNELS}/activations.hpp", "Activations", "Activation", "ACTIVATIONS"),
    (f"{KERNELS}/losses.hpp", "Outputs", "Output", "OUTPUTS"),
    (f"{KERNELS}/losses.hpp", "Losses", "Loss", "LOSSES"),
)


def names_in_list(text: str, list_name: str) -> list[str]:
    """The kName of every struct in `using List = List<A, Wrapper<B>, ...>;`, in its order."""
    found = re.search(rf"using {list_name}\s*=\s*List<(.*?)>;", text, re.DOTALL)
    structs = re.findall(r"(\w+)(?=\s*(?:>|,|$))", found[1]) if found else []
    pattern = r"struct {}\b.*?kName = \"(\w+)\""
    names = [re.search(pattern.format(struct), text, re.DOTALL) for struct in structs]
    return [name[1] if name else "?" for name in names]


def twins_in(tree_root: Path) -> dict[str, list[str]]:
    """The keys of every dictionary of the twin, by its name."""
    return {
        target.id: [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
        for path in files(tree_root, REFERENCE, suffixes={".py"})
        for node in tree(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def every_activation_and_output_is_in_every_list(root: Path) -> list[str]:
    """The structs of the kernels, the enum and the twin have the same names in the same order."""
    found = []
    twins = twins_in(root)
    for header, list_name, enum, table in LISTS:
        for path in files(root, header):
            names = names_in_list(code(path), list_name)
            options = (root / HEADERS / "options.hpp").read_text(encoding="utf-8")
            entries = re.search(rf"enum class {enum} \{{([^}}]*)\}}", options)
            enumerators = re.findall(r"k(\w+)", entries[1]) if entries else []
            snake = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in enumerators]
            for what, others in (
                (f"enum {enum}", snake),
                (f"the twin's {table}", twins.get(table, [])),
            ):
                if others != names:
                    found.append(
                        violation(root, path, 1, f"{list_name} has {names}; {what} has {others}")
                    )
    return found


# Rules: plain and small


def no_macros_that_make_code(root: Path) -> list[str]:
    paths = files(root, "cpp", "python", suffixes=CPP)
    return lines_with(root, r"^\s*#\s*define\s+\w+\(", paths, "templates, not macros")


def no_code_is_parked(root: Path) -> list[str]:
    paths = files(root, "cpp", "python", suffixes=CPP)
    return lines_with(root, r"^\s*#\s*(el)?if\s+(0|false)\b", paths, "delete, don't park")


def no_flags_that_break_the_promise_on_bits(root: Path) -> list[str]:
    paths = files(root, "CMakeLists.txt", "CMakePresets.json", "pyproject.toml", "cmake", ".ci")
    paths += files(root, "cpp", "python", "tests/cpp", suffixes=CPP | {".txt", ".cmake"})
    # -fno-fast-math and the like switch them off, whatever a parent project asks for.
    pattern = r"(march|mcpu|mtune)=native|(?<!-fno-)fast-math|\bOfast\b"
    pattern += r"|-f(unsafe|associative|finite)-math"
    return lines_with(root, pattern, paths, "this flag would change results")


def python_functions_are_short(root: Path) -> list[str]:
    found = []
    for path in files(root, "python", suffixes=PYTHON):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = length(node) - (length(node.body[0]) if ast.get_docstring(node) else 0)
                if count > MAX_FUNCTION_LINES:
                    what = f"{node.name} has {count} lines, of at most {MAX_FUNCTION_LINES}"
                    found.append(violation(root, path, node.lineno, what))
    return found


def length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def everything_public_has_a_docstring(root: Path) -> list[str]:
    return [
        violation(root, path, getattr(node, "lineno", 1), f"{name} has no docstring")
        for path in files(root, PACKAGE, suffixes={".py"})
        for name, node in [(path.name, tree(path)), *public(path)]
        if not ast.get_docstring(node)
    ]


Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def public(path: Path) -> Iterator[tuple[str, Definition]]:
    """Public classes, functions and methods of a public module."""
    if path.name.startswith("__") or not path.name.startswith("_"):
        yield from public_in(tree(path))


def public_in(parent: ast.Module | ast.ClassDef) -> Iterator[tuple[str, Definition]]:
    for node in parent.body:
        if not isinstance(node, Definition):
            continue
        # A stub of a Protocol, whose body is `...`, needs no docstring: its class has one.
        if not node.name.startswith("_") and ast.unparse(node.body[-1]) != "...":
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                yield from ((f"{node.name}.{name}", inner) for name, inner in public_in(node))
