"""The files that the commands read: formats, compression, encodings, and what is wrong in them."""

import bz2
import gzip
import io
import lzma
import math
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("click")

import cli_tables
from fastmlp.cli import readers
from fastmlp.cli.errors import CommandError
from fastmlp.cli.readers import Format, joined, open_table

DEFAULT = Format()
TEXT = b'name,size\n"Rome, old",1.5\nOslo,\nBern,NA\n'
ROWS = {"name": ["Rome, old", "Oslo", "Bern"], "size": ["1.5", None, None]}


@pytest.fixture
def file(tmp_path):
    """Write bytes and return the path."""

    def write(content, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write


def content(path, form=DEFAULT):
    """All columns as lists, NaN as None."""
    with open_table(path, form) as source:
        table = joined(list(source.blocks(source.columns))).table
    return {
        name: [None if isinstance(v, float) and math.isnan(v) else v for v in list(column.values)]
        for name, column in table.columns.items()
    }


def refused(path, form=DEFAULT):
    with pytest.raises(CommandError) as raised:
        content(path, form)
    return str(raised.value).replace(path, "FILE")


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_guessed(file, delimiter):
    lines = [["a", "b", "c"], ["1", "x y", "3"], ["2", "", "4"]]
    text = "\n".join(delimiter.join(line) for line in lines)
    assert content(file(text.encode())) == {"a": ["1", "2"], "b": ["x y", None], "c": ["3", "4"]}


def test_the_delimiter_is_the_one_that_divides_all_lines_alike(file):
    # A comma stands in each line, but not as often.
    assert list(content(file(b"a;b\n1,5;2\n2;3,5\n"))) == ["a", "b"]
    assert list(content(file(b"a b\n1\n2\n"))) == ["a b"]


def test_the_delimiter_is_guessed_from_whole_records(file):
    # The last line of the sample opens a quote, and the first one has a comma too.
    lines = ["a,x;b", *["1;2"] * (readers.SAMPLE - 2), '"y', 'z";2']
    assert list(content(file("\n".join(lines).encode()))) == ["a,x", "b"]


def test_any_character_can_be_the_delimiter(file):
    assert content(file(b"a~b\n1~2\n"), Format(delimiter="~")) == {"a": ["1"], "b": ["2"]}


def test_quotes_hold_delimiters_quotes_and_ends_of_lines(file):
    path = file(b'a,b\r\n"x, ""y""\r\nz",2\r\n')
    assert content(path) == {"a": ['x, "y"\r\nz'], "b": ["2"]}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_empty_lines_do_not_count(file, end):
    assert content(file(end.join([b"", b"a,b", b"", b"1,2", b"", b""]))) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("text", sorted(readers.MISSING | {" ", "\t"}))
def test_what_counts_as_missing(file, text):
    assert content(file(f'a;b\n"{text}";1\n'.encode()))["a"] == [None]


@pytest.mark.parametrize("text", ["0", "no", "nothing", "NAN!", "-"])
def test_what_does_not_count_as_missing(file, text):
    assert content(file(f"a;b\n{text};1\n".encode()))["a"] == [text]


def test_a_column_without_a_name_is_called_as_pandas_calls_it(file):
    assert list(content(file(b",a,\n0,1,2\n"))) == ["Unnamed: 0", "a", "Unnamed: 2"]


def test_a_file_without_names(file):
    path = file(b"1,2\n3,4\n")
    assert content(path, Format(header=False)) == {"x0": ["1", "3"], "x1": ["2", "4"]}


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        ("utf-8", Format()),
        ("utf-8-sig", Format()),
        ("utf-16", Format()),
        ("utf-32", Format()),
        ("cp500", Format(encoding="cp500")),
        ("latin-1", Format(encoding="iso8859-1")),
        ("utf-16-le", Format(encoding="utf-16-le")),
    ],
)
def test_encodings(file, encoding, form):
    assert content(file("größe,b\nä,2\n".encode(encoding)), form) == {"größe": ["ä"], "b": ["2"]}


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(file, compress):
    path = file(compress(TEXT), "table.dat")
    assert content(path) == ROWS


@pytest.mark.parametrize("compress", [lambda text: text, gzip.compress])
def test_a_pipe_that_gives_little_at_a_time(monkeypatch, compress):
    class Slow(io.RawIOBase):
        rest = compress(TEXT)

        def readable(self):
            return True

        def readinto(self, buffer):
            piece, self.rest = self.rest[:3], self.rest[3:]
            buffer[: len(piece)] = piece
            return len(piece)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Slow()))
    assert content("-") == ROWS


def test_quotes_hold_carriage_returns(file):
    assert content(file(b'a,b\n"x\ry",2\n')) == {"a": ["x\ry"], "b": ["2"]}
    assert content(file(b'a,b\r"x\r\ny",2\r')) == {"a": ["x\r\ny"], "b": ["2"]}


def test_blocks_know_the_rows_and_the_lines(file, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 2)
    path = file(b'a,b\n1,x\n\n2,"y\ny"\n3,z\n')
    with open_table(path) as source:
        blocks = list(source.blocks(["a"]))
    assert [block.table.columns["a"].values for block in blocks] == [["1", "2"], ["3"]]
    places = [block.place(row) for block in blocks for row in range(block.table.rows)]
    assert places == ["row 1 (line 2)", "row 2 (line 5)", "row 3 (line 6)"]
    assert blocks[0].take(np.array([1])).place(0) == "row 2 (line 5)"
    assert list(blocks[0].table.columns) == ["a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "FILE is empty"),
        (b"\n\n", "FILE has no rows"),
        (b"a,b\n1,2\n\n1,2,3\n", "FILE: row 2 (line 4) has 3 fields; the first line has 2"),
        (b"a;b\n1;2;3\n", "FILE: row 1 (line 2) has 3 fields; the first line has 2"),
        (b"a,b\n1\n", "FILE: row 1 (line 2) has 1 field; the first line has 2"),
        (b"a,b,a\n1,2,3\n", "FILE has two columns called 'a'; rename one"),
        (b'a,b\n1,"2\n3,4\n', "FILE: line 2: a quote is not closed"),
        (b'a,b\n\n1,2\n1,"2', "FILE: line 4: a quote is not closed"),
        (b'a,b\n1,"2"x\n', "FILE: line 2: ',' expected after '\"'"),
        (b'a,b\n1,2\n1,"2\n3,"4"\n', "FILE: lines 3 to 4: ',' expected after '\"'"),
        (b"a,b\r1,2\r1,2,3\r", "FILE: row 2 (line 3) has 3 fields; the first line has 2"),
        (b"a,b\n1,2\r1,2,3\n", "FILE: row 2 (line 3) has 3 fields; the first line has 2"),
        (b"a,b\n" + 200 * b"1,2\n" + b"1,x\0y\n", "FILE: line 202 has a NUL character; the file "),
        ("a\n".encode("utf-16") + "\0\n".encode("utf-16-le"), "FILE: line 2 has a NUL character; "),
        (b"a,b\n1,\xe4\n", "FILE: line 2 is not UTF-8, byte 3 is 0xe4; name its encoding, such as"),
        (b"\xff\xfea", "FILE is not UTF-16: "),
        (b"PK\3\4", "FILE is a ZIP archive or an Excel workbook: save the sheet as CSV"),
        (b"a\0b\n", "FILE is not a table: it must be CSV, Parquet, Arrow or npy"),
        (b"\xd0\xcf\x11\xe0", "FILE is an old Excel workbook: save the sheet as CSV"),
        (b"FEA1", "FILE is an old Feather file: write it again"),
        (b"\x28\xb5\x2f\xfd", "FILE is compressed by zstd: decompress it first"),
        (gzip.compress(TEXT)[:-9], "FILE is damaged: "),
        (gzip.compress(TEXT)[:12] + b"abcdefghijkl", "FILE is damaged: "),
        (lzma.compress(TEXT)[:40] + b"abcdefghijkl", "FILE is damaged: "),
        (b"PAR1abc", "FILE "),
        (b"ARROW1abc", "FILE "),
        (b"\xff\xff\xff\xffabc", "FILE "),
        (b"\x93NUMPYabc", "FILE cannot be read: "),
    ],
)
def test_what_is_wrong_is_said_with_the_place(file, text, message):
    if text.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        pytest.importorskip("pyarrow")
    assert refused(file(text)).startswith(message)


def test_a_quote_that_is_not_closed_takes_no_memory(file, monkeypatch):
    monkeypatch.setattr(readers, "LONGEST_FIELD", 1000)
    path = file(b'a,b\n1,"2\n' + 500 * b"3,4\n")
    assert refused(path) == "FILE: line 2: a quote is not closed"


# npy


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_has_columns_x0_x1(tmp_path, monkeypatch, order):
    monkeypatch.setattr(readers, "BLOCK", 2)
    array = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", np.asarray(array, order=order))
    assert content(str(tmp_path / "a.npy")) == {"x0": [0, 2, 4], "x1": [1, 3, 5]}


def test_a_structured_array_has_its_names(file, tmp_path):
    array = np.array([(1.5, "x"), (2.5, "y")], dtype=[("a", "f8"), ("b", "U2")])
    np.save(tmp_path / "a.npy", array)
    assert content(str(tmp_path / "a.npy")) == {"a": [1.5, 2.5], "b": ["x", "y"]}


def test_an_array_from_a_pipe(monkeypatch, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(3, 2))
    stream = io.BytesIO((tmp_path / "a.npy").read_bytes())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    assert content("-") == {"x0": [0, 2, 4], "x1": [1, 3, 5]}


def test_blocks_of_an_array_know_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK", 2)
    np.save(tmp_path / "a.npy", np.zeros((5, 1)))
    with open_table(str(tmp_path / "a.npy")) as source:
        assert [block.place(0) for block in source.blocks(["x0"])] == ["row 1", "row 3", "row 5"]


def test_the_copy_of_a_pipe_is_removed(monkeypatch, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    stream = io.BytesIO((tmp_path / "a.npy").read_bytes())
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    with open_table("-") as source:
        assert len(list((tmp_path / "copies").iterdir())) == 1
        source.array._mmap.close()  # Windows removes no file that is mapped
    assert not list((tmp_path / "copies").iterdir())


@pytest.mark.parametrize("shape", [(3,), (), (2, 2, 2)])
def test_an_array_must_have_two_axes(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    assert "a table has rows and columns" in refused(str(tmp_path / "a.npy"))


def test_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[{}]]), allow_pickle=True)
    assert refused(str(tmp_path / "a.npy")).startswith("FILE cannot be read: ")


# Parquet and Arrow


def write_parquet(table, path):
    from pyarrow import parquet

    parquet.write_table(table, path)


def write_arrow_file(table, path):
    import pyarrow

    with pyarrow.ipc.new_file(path, table.schema) as file:
        file.write_table(table)


def write_arrow_stream(table, path):
    import pyarrow

    with pyarrow.ipc.new_stream(path, table.schema) as file:
        file.write_table(table)


@pytest.mark.parametrize("piped", [False, True])
@pytest.mark.parametrize("write", [write_parquet, write_arrow_file, write_arrow_stream])
def test_parquet_and_arrow(tmp_path, monkeypatch, write, piped):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("narwhals")
    monkeypatch.setattr(readers, "BLOCK", 2)
    names = pyarrow.array(["x", None, "y"]).dictionary_encode()
    table = pyarrow.table({"a": [1, 2, None], "b": names, "c": [True, False, None]})
    path = str(tmp_path / "table")
    write(table, path)
    if piped:
        with open(path, "rb") as file:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(file.read())))
        path = "-"
    found = content(path)
    assert found == {"a": [1, 2, None], "b": ["x", None, "y"], "c": [1, 0, None]}
    if not piped:
        with open_table(path) as source:
            assert [block.place(0) for block in source.blocks(["a"])] == ["row 1", "row 3"]


def test_a_column_that_no_model_takes_is_named_unless_it_is_ignored(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("narwhals")
    columns = {"a": [[i] for i in range(60)], "b": [i * 7 % 10 for i in range(60)]}
    write_parquet(pyarrow.table({**columns, "y": [i % 2 for i in range(60)]}), tmp_path / "table")
    quick = ("-o", tmp_path / "model", "--epochs", 1, "--members", 1)
    line = cli_tables.refused("train", tmp_path / "table", "-t", "y", *quick)
    assert line.startswith(f"{tmp_path / 'table'}: column 'a' has the type List")
    line = cli_tables.refused("train", tmp_path / "table", "-t", "a", *quick)
    assert line.startswith(f"{tmp_path / 'table'}: column 'a' has the type List")
    done = cli_tables.run("train", tmp_path / "table", "-t", "y", "--ignore", "a", *quick)
    assert done.status == 0, done
    assert cli_tables.run("predict", tmp_path / "model", tmp_path / "table").status == 0


def test_without_pyarrow_the_message_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert "pip install pyarrow" in refused(file(b"PAR1" + bytes(20)))
