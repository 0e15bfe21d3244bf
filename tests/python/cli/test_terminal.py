"""Commands as processes: Ctrl-C, closed pipes, full disks, encodings, completion, large files."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fastmlp
from cli_tables import mixed, run, write_csv
from fastmlp.cli import output

pytest.importorskip("click")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")

PROGRAM = [sys.executable, "-m", "fastmlp"]
PATH = {"PYTHONPATH": str(Path(fastmlp.__file__).parents[1]), "PYTHONUNBUFFERED": ""}


def start(*arguments, **options):
    environment = {**os.environ, **PATH, **options.pop("environment", {})}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], env=environment, **given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("terminal")


@pytest.fixture(scope="module")
def table(folder):
    return write_csv(folder / "mixed.csv", *mixed())


@pytest.fixture(scope="module")
def model(folder, table):
    path = str(folder / "m.safetensors")
    done = run("train", table, "-t", "kind", "-o", path, "--epochs", 2, "--members", 1)
    assert done.status == 0, done
    return path


# Ctrl-C


def until_shown(master, what):
    """Read a terminal until it shows a text; return all that it has shown."""
    shown = b""
    end = time.monotonic() + 60
    while what not in shown and time.monotonic() < end:
        try:
            shown += os.read(master, 4096)
        except OSError:  # so says Linux at the end
            break
    return shown


def interrupt_at_a_terminal(what, *arguments):
    """Press Ctrl-C once the terminal shows a text; return what follows and the status."""
    import pty

    master, slave = pty.openpty()

    def own_terminal():
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = start(
        *arguments, stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal,
        environment={"TERM": "xterm", "COLUMNS": "80"},
    )  # fmt: skip
    os.close(slave)
    try:
        before = until_shown(master, what)
        assert what in before, before
        os.write(master, b"\x03")
        after = until_shown(master, b"no such text")
        return before, after, process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_ctrl_c_in_training_prints_a_line_and_leaves_no_file(folder, table):
    result = folder / "never.safetensors"
    before, after, status = interrupt_at_a_terminal(
        b"loss ", "train", table, "-t", "kind", "-o", result, "--members", 2000
    )
    assert b"rows/s" in before
    assert after.decode().split("\r")[-2:] == ["\nfastmlp: interrupted", "\n"]
    assert b"Traceback" not in after
    assert status == 130
    assert not result.exists()


def test_ctrl_c_ends_a_command_that_waits_for_a_pipe(folder, model):
    result = folder / "waiting.csv"
    with start("predict", model, "-", "-o", result, stdin=subprocess.PIPE) as process:
        process.stdin.write(b'size,color,day,"sold, fully"\n1,red,2024-01-01,True\n')
        process.stdin.flush()
        deadline = time.monotonic() + 60
        wait = Path(f"/proc/{process.pid}/wchan")
        while "pipe" not in (wait.read_text() if wait.exists() else "pipe"):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert err == b"fastmlp: interrupted\n"
    assert process.returncode == 130
    assert not result.exists()


def shown_by_a_terminal(columns, *command, **options):
    """Run a command in a terminal; return the lines that it has shown."""
    import fcntl
    import pty
    import struct
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = start(*command, stdin=slave, stdout=slave, stderr=slave, **options)
    os.close(slave)
    shown = until_shown(master, b"no such text").decode()
    os.close(master)
    assert process.wait(timeout=60) == 0, shown
    return re.split("[\r\n]+", shown)


def test_bar_and_tables_fit_a_narrow_terminal(folder, table):
    command = ["train", table, "-t", "kind", "-o", "m.st", "--members", 2, "--epochs", 20]
    lines = shown_by_a_terminal(40, *command, cwd=folder)
    assert any(re.fullmatch(r"loss [\d.]+, \d+%, [\d:?]+ left *", line) for line in lines), lines
    assert "which are  scaled around 5.5, its place" in lines
    assert max(len(line) for line in lines if not line.startswith("next")) < 40


def test_predict_shows_a_bar_unless_the_terminal_shows_the_predictions(folder, table, model):
    command = ["predict", model, table]
    assert any("rows/s" in line for line in shown_by_a_terminal(80, *command, "-o", "/dev/null"))
    assert shown_by_a_terminal(80, *command) == [*run(*command).out.splitlines(), ""]


# Pipes and disks


@pytest.mark.parametrize(
    "arguments", [["predict", "MODEL", "TABLE"], ["info"], ["inspect", "MODEL"]]
)
def test_a_reader_that_goes_away_is_no_error(folder, table, model, arguments):
    words = [{"MODEL": model, "TABLE": table}.get(word, word) for word in arguments]
    with start(*words) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [["predict", "MODEL", "TABLE"], ["info"], ["inspect", "MODEL"]]
)
def test_a_full_disk_is_said_in_a_line(table, model, arguments):
    words = [{"MODEL": model, "TABLE": table}.get(word, word) for word in arguments]
    with open("/dev/full", "wb") as full, start(*words, stdout=full) as process:
        assert process.stderr.read() == (
            b"fastmlp: error: standard output: No space left on device\n"
        )
    assert process.returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_a_file_is_said_with_its_name(table, model):
    done = run("predict", model, table, "-o", "/dev/full")
    assert (done.status, done.err) == (1, "fastmlp: error: /dev/full: No space left on device\n")


COMMANDS = [
    ["--help"],
    ["--version"],
    ["info"],
    ["demo", "--help"],
    ["bench", "--help"],
    ["inspect", "MODEL"],
    ["inspect", "MODEL", "--json"],
    ["export", "MODEL", "--cpp", "-"],
    ["predict", "MODEL", "TABLE"],
    ["evaluate", "MODEL", "TABLE"],
    ["train", "TABLE", "-t", "kind", "-o", "RESULT", "--epochs", "1", "--members", "1"],
]


@pytest.fixture
def words(folder, table, model):
    """Put the names of the files into a command."""
    names = {"MODEL": model, "TABLE": table, "RESULT": str(folder / "result.st")}
    return lambda arguments: [names.get(word, word) for word in arguments]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_standard_output_that_is_closed_is_an_error(words, arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)
    assert fastmlp.__main__.main(words(arguments)) == 1
    assert sys.stdout is None
    assert capsys.readouterr().err == "fastmlp: error: standard output is closed\n"


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_command_needs_neither_standard_input_nor_error(words, arguments, monkeypatch, capsys):
    expected = run(*words(arguments))
    closed = open(os.devnull, "w")  # noqa: SIM115
    closed.close()
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stderr", closed)
    assert fastmlp.__main__.main(words(arguments)) == 0
    if arguments[0] != "train":  # which prints its time
        assert capsys.readouterr().out == expected.out


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]])
def test_no_file_takes_the_number_of_a_closed_stream(folder, table, model, closed):
    code = "import os, sys; [os.close(i) for i in map(int, sys.argv[1].split())]\n"
    code += "os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], *sys.argv[3:]])"
    program = (
        "import os, sys; from fastmlp.__main__ import main; from fastmlp.cli import models\n"
        "load = models.load_tabular\n"
        "def loading(path):\n"
        "    for number in (0, 1, 2): os.fstat(number)\n"
        "    os.write(2, b'of another library')\n"
        "    return load(path)\n"
        "models.load_tabular = loading\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    result = folder / "predicted.csv"
    command = ["predict", model, table, "-o", str(result)]
    done = subprocess.run(
        [sys.executable, "-c", code, " ".join(map(str, closed)), program, *command],
        capture_output=True, env={**os.environ, **PATH},
    )  # fmt: skip
    assert done.returncode == (1 in closed)
    assert result.read_text() == run("predict", model, table).out
    expected = b"of another library" + b"fastmlp: error: standard output is closed\n" * (
        1 in closed
    )
    assert done.stderr == (b"" if 2 in closed else expected)


def test_a_standard_input_that_cannot_be_read_is_named(folder, model):
    with open(folder / "written", "w") as file, start("predict", model, "-", stdin=file) as process:
        assert process.communicate() == (b"", b"fastmlp: error: standard input is closed\n")
    assert process.returncode == 1
    with start("predict", model, "-", preexec_fn=lambda: os.close(0), stdin=None) as process:
        assert process.communicate() == (b"", b"fastmlp: error: standard input is closed\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_warning_that_cannot_be_shown_ends_nothing(folder):
    rows = [[5, i * 7 % 10, i % 2] for i in range(60)]  # the first column is constant
    path = write_csv(folder / "constant.csv", ["a", "b", "y"], rows)
    options = ["--epochs", 1, "--members", 1, "--seed", 3]
    command = ["train", path, "-t", "y", "-o", folder / "c.st", *options]
    with open("/dev/full", "wb") as full, start(*command, stderr=full) as done:
        done.communicate()
    assert done.returncode == 0


def test_a_pipeline(table, model):
    with open(table, "rb") as file, start("predict", model, "-", stdin=file) as process:
        out, err = process.communicate()
    assert out.decode() == run("predict", model, table).out
    assert err == b""


# A large file


def test_predicting_a_large_file_takes_little_memory(folder, model):
    header, rows = mixed(1000)
    path = folder / "large.csv"
    write_csv(path, header, rows)
    body = path.read_bytes().partition(b"\n")[2]
    code = "import resource, sys; from fastmlp.__main__ import main; status = main(sys.argv[1:]);"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    peaks = []
    for times in (0, 60):  # 60,000 rows more
        with path.open("ab") as file:
            file.write(times * body)
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", model, str(path), "-o", os.devnull],
            capture_output=True, check=True, env={**os.environ, **PATH},
        )  # fmt: skip
        peaks.append(int(done.stderr))
    megabytes = len(body) * 60 / 1e6
    assert (peaks[1] - peaks[0]) / 1000 < 8 + megabytes / 2  # a block has 8192 rows


# Encodings


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_every_command_prints_in_every_encoding(folder, encoding):
    rows = [[i * 7 % 10, f"größe-{i * 7 % 10 > 4}"] for i in range(60)]
    path = write_csv(folder / "größe.csv", ["länge", "y"], rows)
    model = folder / f"größe-{encoding}.st"
    environment = {"PYTHONIOENCODING": encoding, "LC_ALL": "C"}
    for command in (
        ["train", path, "-t", "y", "-o", model, "--epochs", 1, "--members", 1],
        ["evaluate", model, path],
        ["inspect", model],
    ):
        with start(*command, environment=environment) as process:
            out, err = process.communicate()
        assert process.returncode == 0, err
        expected = "größe" if encoding != "ascii" else r"gr\xf6\xdfe"
        assert expected in out.decode(encoding)
        assert err == b""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("encoding", ["ascii", "C"])
def test_the_next_command_can_be_pasted(folder, table, encoding):
    name = "it's größe; $HOME.st"
    environment = {"PYTHONIOENCODING": encoding}
    if encoding == "C":
        environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = ["train", table, "-t", "kind", "-o", name, "--epochs", 1, "--members", 1]
    with start(*command, environment=environment, cwd=folder) as process:
        out, err = process.communicate()
    assert err == b""
    pasted = out.splitlines()[-1].removeprefix(b"next: fastmlp predict ")
    shell = ["bash", "-c", b"printf %s " + pasted.removesuffix(b" NEW.csv -o predictions.csv")]
    assert subprocess.run(shell, capture_output=True, check=True).stdout == name.encode()


def test_a_name_that_is_not_utf_8_can_be_pasted():
    assert output.quoted(os.fsdecode(b"m\xff'\\ 1.st")) == r"$'m\377\047\134 1.st'"


# Without click


def test_without_click_there_are_info_and_the_demo(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "click", None)
    for name in [name for name in sys.modules if name.startswith("fastmlp.cli.")]:
        if name not in ("fastmlp.cli.errors", "fastmlp.cli.output"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(fastmlp.cli, "app", raising=False)
    main = fastmlp.__main__.main
    assert main(["info"]) == 0
    assert fastmlp.__version__ in capsys.readouterr().out
    monkeypatch.setattr(fastmlp.__main__, "run_demo", lambda plot: print(f"demo {plot}") or 0)
    for arguments in ([], ["demo"], ["--plot", "x.png"], ["demo", "--plot", "x.png"]):
        assert main(arguments) == 0
        assert capsys.readouterr().out == f"demo {'x.png' if '--plot' in arguments else None}\n"
    for arguments in (["train", "x.csv"], ["info", "--plot", "x.png"], ["fly"]):
        assert main(arguments) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "pip install 'fastmlp[cli]'" in err
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0


def test_help_imports_neither_readers_nor_models():
    code = (
        "import sys; from fastmlp.__main__ import main; main(sys.argv[1:]);"
        "print([m for m in sys.modules if m.split('.')[0] in ('pandas', 'pyarrow', 'narwhals',"
        "'matplotlib', 'tqdm', 'sklearn') or m.startswith('fastmlp.tabular')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, **PATH},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
    assert max(map(len, done.stdout.splitlines())) < 80


@pytest.mark.parametrize(
    "command", ["train", "predict", "evaluate", "inspect", "export", "info", "bench", "demo"]
)
def test_help_of_a_command_fits_the_terminal(command):
    done = run(command, "--help")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) < 80
    assert done.out.isascii() or command == "evaluate"  # R²


def test_the_version():
    assert run("--version").out == f"{fastmlp.__version__}\n"


# Completion


def completed(folder, words):
    """What the shell would offer for the last word."""
    environment = {
        "_FASTMLP_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["fastmlp", *words]),
        "COMP_CWORD": str(len(words)),
    }
    with start(environment=environment, cwd=folder, stdin=subprocess.DEVNULL) as process:
        out, err = process.communicate()
    assert err == b""
    return [line.partition(",")[2] for line in out.decode().splitlines() if line]


def test_completion(folder, table):
    assert completed(folder, ["in"]) == ["inspect", "info"]
    assert completed(folder, ["train", "mixed.csv", "--ta"]) == ["--target", "--task"]
    assert completed(folder, ["train", "mixed.csv", "--target", ""]) == [*mixed()[0]]
    assert completed(folder, ["train", "mixed.csv", "-t", "k"]) == ["kind"]
    assert completed(folder, ["train", "no.csv", "-t", "k"]) == []
    assert completed(folder, ["predict", "m", "mixed.csv", "--keep", "co"]) == ["color"]
    assert completed(folder, ["bench", "--networks", "s"]) == ["small"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell(shell):
    environment = {"_FASTMLP_COMPLETE": f"{shell}_source"}
    with start(environment=environment) as process:
        assert b"_FASTMLP_COMPLETE" in process.communicate()[0]
