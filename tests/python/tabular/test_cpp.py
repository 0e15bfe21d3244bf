"""Tabular models in C++, from a file and as an exported header: the bits of Python.

What links the library belongs to the sweep, because it compiles for seconds. A plain `pytest` and
`ctest` compare both languages with tests/data/tabular.json.
"""

import json
import math
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import fastmlp
import tabular_corpus
from fastmlp.formats.cpp_header import cpp_header, save_cpp
from fastmlp.tabular import TabularClassifier, TabularRegressor, load
from fastmlp.tabular._table import read_table
from table_data import features, mixed_table

COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no C++ compiler on PATH")
QUICK = {"hidden": (5,), "n_members": 2, "epochs": 2}
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]


@pytest.fixture(scope="module")
def corpus():
    return {name: load(tabular_corpus.path_of(name)) for name in ("classifier", "regressor")}


def numbers_of(model, X):
    """The probabilities, or the amounts with a column for each."""
    if isinstance(model, TabularClassifier):
        return model.predict_proba(X)
    found = model.predict(X)
    return found.reshape(len(found), -1)


def test_python_predicts_what_the_corpus_has(corpus):
    assert (tabular_corpus.FOLDER / "tabular.json").read_text() == tabular_corpus.as_json(corpus)


# From a file


PROGRAM = """
#include <fastmlp/tabular.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

using Json = nlohmann::json;

fastmlp::Value value_of(const Json& json) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_string()) return json.get<std::string>();
  return std::strtod(json["number"].get<std::string>().c_str(), nullptr);
}

template <class Model, class Predict>
void run(const Json& task, const Predict& predict) {
  const auto model = fastmlp::load_tabular<Model>(task["model"].get<std::string>());
  std::vector<fastmlp::Row> rows;
  for (const Json& one : task["rows"]) {
    auto& row = rows.emplace_back();
    for (const Json& value : one) row.push_back(value_of(value));
  }
  std::vector<double> out(rows.size() * static_cast<std::size_t>(model.n_outputs()));
  const auto m = static_cast<std::ptrdiff_t>(rows.size());
  predict(model, rows, fastmlp::MatrixView<double>(out.data(), m, model.n_outputs()));
  for (const double number : out) std::printf("%a\\n", number);
}

int main(int argc, char** argv) {
  using namespace fastmlp;
  if (argc > 2) {  // whether it reads each file
    for (int i = 2; i < argc; ++i) {
      try {
        if (argv[1] == std::string("classifier")) load_tabular<TabularClassifier>(argv[i]);
        else load_tabular<TabularRegressor>(argv[i]);
        std::puts("read");
      } catch (const FileError&) {
        std::puts("refused");
      }
    }
    return 0;
  }
  std::ifstream file(argv[1]);
  const Json task = Json::parse(file);
  if (task["classifier"].get<bool>()) {
    run<TabularClassifier>(task, [](const auto& model, const auto& rows, auto out) {
      model.predict_proba(rows, out);
    });
  } else {
    run<TabularRegressor>(
        task, [](const auto& model, const auto& rows, auto out) { model.predict(rows, out); });
  }
}
"""
CMAKE = """
cmake_minimum_required(VERSION 3.20)
project(rows LANGUAGES CXX)
find_package(fastmlp 0.1 CONFIG REQUIRED COMPONENTS io)
add_executable(rows main.cpp)
target_link_libraries(rows PRIVATE fastmlp::io)
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program that predicts the rows of a JSON file."""
    folder = tmp_path_factory.mktemp("rows")
    (folder / "main.cpp").write_text(PROGRAM)
    (folder / "CMakeLists.txt").write_text(CMAKE)
    cmake = shutil.which("cmake", path=sysconfig.get_path("scripts")) or "cmake"
    find = f"-Dfastmlp_DIR={fastmlp.get_cmake_dir()}"
    subprocess.run([cmake, "-B", "build", find], cwd=folder, check=True)
    subprocess.run([cmake, "--build", "build"], cwd=folder, check=True)
    return folder / "build" / "rows"


def plain(value):
    """A value as the program takes it."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | float | np.number):
        return None if math.isnan(value) else {"number": float(value).hex()}
    return None if value is None else str(value)


def rows_of(X):
    columns = X.T if isinstance(X, np.ndarray) else [X[name] for name in X]
    return [[plain(value) for value in row] for row in zip(*columns, strict=True)]


def check_program(program, folder, model, X):
    """The program must print the bits of Python."""
    model.save(folder / "model.safetensors")
    task = {"model": str(folder / "model.safetensors"), "rows": rows_of(X)}
    task["classifier"] = isinstance(model, TabularClassifier)
    (folder / "task.json").write_text(json.dumps(task))
    run = subprocess.run(
        [program, folder / "task.json"], capture_output=True, text=True, check=True
    )
    found = np.array([float.fromhex(line) for line in run.stdout.split()])
    expected = numbers_of(model, X)
    assert found.tobytes() == expected.tobytes()


TABLE = mixed_table(300)
X = features(TABLE)
MODELS = {
    "quantile scaling": lambda: TabularClassifier(**QUICK, scaling="quantile").fit(
        X, TABLE["class"]
    ),
    "no places": lambda: TabularRegressor(**QUICK, n_bins=0).fit(X, TABLE["amount"]),
    "counts": lambda: TabularRegressor(**QUICK, loss="poisson").fit(X, TABLE["count"]),
    "huber": lambda: TabularRegressor(**QUICK, loss="huber", delta=0.7).fit(X, TABLE["amount"]),
    "quantiles": lambda: TabularRegressor(**QUICK, quantiles=[0.1, 0.9]).fit(X, TABLE["amount"]),
    "booleans": lambda: TabularClassifier(**QUICK).fit(X, np.array(TABLE["amount"]) > 7),
    "categories": lambda: TabularRegressor(
        **QUICK, column_types={"size": "category", "day": "category", "good": "category"}
    ).fit({**X, "size": np.round(np.nan_to_num(X["size"]) / 8) / 4}, TABLE["amount"]),
    "one network, several layers": lambda: TabularClassifier(
        hidden=(9, 8, 7), activation="gelu", n_members=1, epochs=2
    ).fit(X, TABLE["class"]),
    "three networks": lambda: TabularClassifier(hidden=(4,), n_members=3, epochs=2).fit(
        X, TABLE["class"]
    ),
}


def new_rows(name):
    """Rows of which some were not trained on, with missing and unknown values."""
    table = features(mixed_table(500, seed=7))
    table["color"][:3] = ["never", "", " "]
    table["size"][:4] = [1e100, -1e100, 5e-324, -0.0]
    table["day"][:3] = [None, "1960-02-29T23:59:59.5", "2100-12-31"]
    if name == "categories":
        table["size"] = np.round(np.nan_to_num(table["size"]) / 8) / 4
    return table


@pytest.mark.sweep
@needs_compiler
@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_has_the_bits_of_python(program, tmp_path, name):
    check_program(program, tmp_path, MODELS[name](), new_rows(name))


@pytest.mark.sweep
@needs_compiler
def test_real_tables_have_the_bits_of_python(program, tmp_path):
    datasets = pytest.importorskip("sklearn.datasets")
    for name, model in (("breast_cancer", TabularClassifier), ("diabetes", TabularRegressor)):
        A, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        check_program(program, tmp_path, model(epochs=3).fit(A, y), A)


# A file with any setting changed: what one reader refuses, the other refuses too. The arguments of
# the constructor and the recipe are for Python alone, and C++ writes whole numbers in one way only.
ODD = (None, True, 0, 1, 2**63, "", "x", [], [1], {}, {"x": 1})


def places_in(value, path=()):
    yield path
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places_in(entry, (*path, key))


def changed_files(path, folder):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    settings = json.loads(header["__metadata__"]["fastmlp_tabular"])
    for place in list(places_in(settings))[1:]:
        if place[0] in ("arguments", "recipe"):
            continue
        for odd in random.Random(str(place)).sample(ODD, 3):
            changed = json.loads(json.dumps(settings))
            owner = changed
            for key in place[:-1]:
                owner = owner[key]
            owner[place[-1]] = odd
            header["__metadata__"]["fastmlp_tabular"] = json.dumps(changed)
            text = json.dumps(header).encode()
            name = folder / f"{len(list(folder.iterdir()))}.safetensors"
            name.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + size :])
            yield name, (place, odd)


@pytest.mark.sweep
@needs_compiler
@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_both_languages_refuse_the_same_files(program, tmp_path, name):
    cases = dict(changed_files(tabular_corpus.path_of(name), tmp_path))
    run = subprocess.run([program, name, *cases], capture_output=True, text=True, check=True)
    model = {"classifier": TabularClassifier, "regressor": TabularRegressor}[name]
    answers = []
    for path in cases:
        try:
            model.load(path)
            answers.append("read")
        except ValueError:
            answers.append("refused")
    differ = [
        (*case, "Python", python, "C++", cpp)
        for case, python, cpp in zip(cases.values(), answers, run.stdout.split(), strict=True)
        if python != cpp
    ]
    assert not differ
    assert "read" in answers


# As a header


OPTIONS = {
    "fast": ["-O3", "-march=native", "-ffp-contract=fast"],
    "plain": ["-O0"],
    "baseline": ["-O2"],
}
MAIN = """
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

std::string next() {
  std::string line;
  if (!std::getline(std::cin, line)) std::abort();
  return line;
}
// A line is empty if the value is missing.
double number() {
  const std::string line = next();
  if (line.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::strtod(line.c_str(), nullptr);
}
std::optional<bool> truth() {
  const std::string line = next();
  return line.empty() ? std::optional<bool>() : line == "1";
}
std::string text() { return next(); }

int main() {
"""


def typed(column, kind):
    """A line for each value: a number, a boolean or a text."""
    if kind == "category":
        return [text or "" for text in column.texts()]
    values = {"number": column.numbers, "date": column.dates, "boolean": column.booleans}[kind]()
    return ["" if math.isnan(v) else str(int(v)) if kind == "boolean" else v.hex() for v in values]


def write_program(folder, models):
    """A program that predicts the rows it reads by the headers of all models."""
    main, body = "", ""
    for name, (model, X) in models.items():
        ns = save_cpp(model, folder / f"{name}.hpp")
        main += f'#include "{name}.hpp"\n'
        body += f"  for (int row = 0; row < {len(numbers_of(model, X))}; ++row) {{\n"
        body += f"    {ns}::Row x;\n"
        for one in model.columns():
            if one.kind == "category":
                body += f"    x.col_{one.name} = {ns}::to_{one.name}(text());\n"
            elif one.kind != "left out":
                read = "truth" if one.kind == "boolean" else "number"
                body += f"    x.col_{one.name} = {read}();\n"
        body += f"    double out[{ns}::n_outputs];\n"
        if isinstance(model, TabularClassifier):
            body += f"    {ns}::probabilities(x, out);\n"
        elif len(model.quantiles_) > 1:
            body += f"    {ns}::predict(x, out);\n"
        else:
            body += f"    out[0] = {ns}::predict(x);\n"
        body += '    for (const double y : out) std::printf("%a\\n", y);\n  }\n'
    (folder / "main.cpp").write_text(main + MAIN + body + "}\n")


def input_of(models):
    lines = []
    for model, X in models.values():
        table = read_table(X)
        kinds = [(one.name, one.kind) for one in model.columns() if one.kind != "left out"]
        columns = [typed(table.columns[name], kind) for name, kind in kinds]
        lines += [line for row in zip(*columns, strict=True) for line in row]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def headers(tmp_path_factory, corpus):
    """A folder with main.cpp and the headers; the models with their rows."""
    folder = tmp_path_factory.mktemp("headers")
    table = tabular_corpus.table(400)
    table["color"][:4] = ["never", "Grün", "grün", None]
    table["day"][:4] = ["1969-12-31T23:59:59.5", "0001-01-01", "9999-12-31", None]
    table["size"][:4] = [1e100, -1e100, 5e-324, -0.0]
    models = {name: (model, table) for name, model in corpus.items()}
    for name in ("counts", "booleans", "categories"):
        models[name] = MODELS[name](), new_rows(name)
    write_program(folder, models)
    return folder, models


@pytest.mark.sparse
@needs_compiler
@pytest.mark.parametrize(
    "options", ["fast", "plain", pytest.param("baseline", marks=pytest.mark.sweep)]
)
@pytest.mark.parametrize("compiler", COMPILERS or ["none"])
def test_the_header_has_the_bits_of_python(headers, compiler, options):
    folder, models = headers
    program = folder / f"{compiler}-{options}"
    command = [compiler, "-std=c++17", *WARNINGS, *OPTIONS[options], "main.cpp", "-o", program]
    subprocess.run(command, cwd=folder, check=True)
    run = subprocess.run(
        [program], input=input_of(models).encode(), stdout=subprocess.PIPE, check=True
    )
    found = np.array([float.fromhex(line) for line in run.stdout.decode().split()])
    expected = np.concatenate([numbers_of(*model).ravel() for model in models.values()])
    assert found.tobytes() == expected.tobytes()


@needs_compiler
def test_odd_names_and_texts_are_safe(tmp_path):
    names = ["class", "2nd", "a b", "a_b", "größe", "NULL", "linux", "", "東京", "__x", "a", '"\\']
    levels = [
        "other",
        "missing",
        "EOF",
        "1",
        "a b",
        "a_b",
        "東",
        "京",
        "??/",
        '"\\',
        "\u202e",
        "is",
    ]
    table = {name: [levels[(k + i) % 12] for i in range(120)] for k, name in enumerate(names)}
    table["n"] = [float(i * 7 % 31) for i in range(120)]
    model = TabularClassifier(hidden=(2,), n_members=1, epochs=1).fit(
        table, [levels[i % 12] for i in range(120)]
    )
    save_cpp(model, tmp_path / "odd.hpp")
    assert "a TabularClassifier of 1 network." in (tmp_path / "odd.hpp").read_text()
    calls = "".join(
        f"  row.col_{name} = m::to_{name}({json.dumps(level)});\n"
        f"  if (row.col_{name} != m::Level_{name}::{enumerator}) return {index + 1};\n"
        for index, (name, level, enumerator) in enumerate(
            [
                ("class", "other", "is_other"),
                ("2nd", "missing", "is_missing"),
                ("a_b", "a b", "is_a_b"),
                ("a_b_2", "nothing", "other"),
                ("gr_e", "", "missing"),
                ("NULL", "EOF", "is_EOF"),
                ("column_8", "1", "is_1"),
                ("column_9", "1", "is_1"),
            ]
        )
    )
    (tmp_path / "main.cpp").write_text(
        "#include <cerrno>\n#include <cmath>\n#include <cstdio>\n#include <string>\n"
        '#include "odd.hpp"\n'
        f"namespace m = fastmlp_odd;\nint main() {{\n  m::Row row;\n{calls}"
        "  if (m::to_a(nullptr) != m::Level_a::missing) return 9;\n"
        '  if (m::to_a(std::string("a b")) != m::Level_a::is_a_b) return 10;\n'
        '  if (m::to_a(std::string("EOF\\0", 4)) != m::Level_a::other) return 11;\n'
        "  std::puts(m::classes[m::predict(row)]);\n}\n"
    )
    for compiler in COMPILERS:
        command = [compiler, "-std=c++17", *WARNINGS, "main.cpp", "-o", compiler]
        subprocess.run(command, cwd=tmp_path, check=True)
        run = subprocess.run([tmp_path / compiler], capture_output=True, check=True)
        assert run.stdout.decode().removesuffix("\n") in levels


def test_names_may_look_like_placeholders_of_the_templates():
    folder = Path(fastmlp.__file__).parent / "formats"
    templates = [path.read_text() for path in folder.glob("cpp_header*")]
    names = sorted({name for text in templates for name in re.findall("@[A-Z]+@", text)})
    assert {"@LEVELS@", "@NAMESPACE@", "@BODY@"} < set(names)
    texts = []
    for char in "@+":  # both become the same C++ names
        odd = [name.replace("@", char) for name in names]
        table = {
            name: [odd[k // (i + 1) % len(odd)] for k in range(200)] for i, name in enumerate(odd)
        }
        model = TabularClassifier(hidden=(2,), n_members=1, epochs=1).fit(table, odd[:2] * 100)
        texts.append(cpp_header(model))
        assert all(f'// "{name}"' in texts[-1] for name in odd)
    assert texts[0].replace("@", "+") == texts[1]


def test_the_command_exports_a_tabular_model(tmp_path, corpus):
    path = tabular_corpus.path_of("regressor")
    command = [sys.executable, "-m", "fastmlp", "export", path, "--cpp", "rent.hpp"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    n = len(corpus["regressor"].networks)
    assert run.stdout == f"rent.hpp: fastmlp_rent::predict, TabularRegressor of {n} networks\n"
    assert (tmp_path / "rent.hpp").read_text() == cpp_header(corpus["regressor"], "rent")


def test_models_that_cannot_be_a_header_are_refused(corpus, monkeypatch):
    with pytest.raises(ValueError, match="not fitted"):
        cpp_header(TabularClassifier())
    with pytest.raises(ValueError, match="namespace is"):
        cpp_header(corpus["classifier"], "a b")
    monkeypatch.setattr("fastmlp.formats.exported_header.MOST_PARAMETERS", 100)
    with pytest.raises(ValueError, match="at most 100"):
        cpp_header(corpus["classifier"])
