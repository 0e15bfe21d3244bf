"""Process-wide settings, what they come from, and what the package is."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import fastmlp

ROOT = Path(__file__).resolve().parents[3]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, outside the repository."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("FASTMLP_", "OMP_"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment,
        cwd=Path(sys.executable).parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_threads_restores_what_was_set():
    fastmlp.set_num_threads(3)
    with fastmlp.threads(5):
        assert fastmlp.get_num_threads() == 5
    assert fastmlp.get_num_threads() == 3
    with pytest.raises(KeyError), fastmlp.threads(2):
        raise KeyError
    assert fastmlp.get_num_threads() == 3


@pytest.mark.parametrize("n", [0, -1, 1025])
def test_thread_counts_out_of_range_are_refused(n):
    before = fastmlp.get_num_threads()
    with pytest.raises(ValueError, match=f"set_num_threads: n is {n}"):
        fastmlp.set_num_threads(n)
    with pytest.raises(ValueError, match="set_num_threads"), fastmlp.threads(n):
        pass
    assert fastmlp.get_num_threads() == before


@pytest.mark.parametrize(("text", "threads"), [("3", 3), ("5,2", 5)])
def test_omp_num_threads_is_the_default(text, threads):
    code = "import fastmlp; print(fastmlp.get_num_threads())"
    assert run(code, OMP_NUM_THREADS=text).stdout.strip() == str(threads)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="there is no affinity here")
def test_the_default_follows_affinity():
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import fastmlp; print(fastmlp.get_num_threads())"
    )
    assert run(code).stdout.strip() == "1"


@pytest.mark.parametrize("isa", fastmlp.available_isas())
def test_fastmlp_isa_chooses_the_instruction_set(isa):
    assert run("import fastmlp; print(fastmlp.isa())", FASTMLP_ISA=isa).stdout.strip() == isa


@pytest.mark.parametrize(
    ("variable", "value"), [("FASTMLP_ISA", "sse9"), ("FASTMLP_MIN_WORK", "little")]
)
def test_settings_that_make_no_sense_are_errors_at_import(variable, value):
    failed = run("import fastmlp", **{variable: value})
    assert failed.returncode == 1
    assert f"{variable}: " in failed.stderr
    assert value in failed.stderr


def test_set_isa_changes_the_isa_and_refuses_unknown_ones():
    for isa in fastmlp.available_isas():
        fastmlp.set_isa(isa)
        assert fastmlp.isa() == isa
    with pytest.raises(ValueError, match=r"set_isa: .*'sse9'.*allowed: .*scalar"):
        fastmlp.set_isa("sse9")
    assert fastmlp.isa() == fastmlp.available_isas()[-1] == "scalar"


def test_importing_the_package_loads_numpy_only():
    code = (
        "import sys, numpy; before = {m.split('.')[0] for m in sys.modules}\n"
        "import fastmlp; after = {m.split('.')[0] for m in sys.modules}\n"
        "print(sorted(m for m in after - before if m not in sys.stdlib_module_names))"
    )
    assert run(code).stdout.strip() == "['fastmlp']"


def test_show_config_prints_what_a_bug_report_needs(capsys):
    config = fastmlp.show_config(mode="dicts")
    fastmlp.show_config()
    printed = capsys.readouterr().out
    for key in ("fastmlp", "compiler", "isa", "threads", "openmp", "numpy", "python", "platform"):
        assert f"{key}  {config[key]}" in printed
    with pytest.raises(ValueError, match="show_config: mode is 'xml'"):
        fastmlp.show_config(mode="xml")


def test_the_version_stands_in_cmakelists_only():
    text = (ROOT / "CMakeLists.txt").read_text()
    stated = re.search(r"project\(fastmlp VERSION ([0-9.]+)", text)[1]
    assert fastmlp.__version__ == stated == version("fastmlp")
