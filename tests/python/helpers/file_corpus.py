"""Small files, right and wrong, and the answer that both readers must give to each.

tests/data/files.json has them: the bytes as text, one character of Latin-1 for each, and the
answer. It is null if the file is refused, or else the name of the case whose bytes `save` writes
for the network that was loaded. test_safetensors.py and tests/cpp/io/test_io.cpp compare both
readers with it; the fuzzers in tests/fuzz start from it. `python file_corpus.py --write` writes it,
after a change of the cases below. docs/file_format.md has the rules.
"""

import json
import re
import struct
import sys
from pathlib import Path

FILE = Path(__file__).parents[2] / "data" / "files.json"

# A network of 2 inputs, 3 hidden units and 1 output, as `save` writes it.
SETTINGS = (
    '{"dtype": "float32", "epochs_trained": 7, "format": 1, "hidden": ["relu"], '
    '"layers": [2, 3, 1], "output": "sigmoid", "seed": 5}'
)
TENSORS = {
    "layers.0.bias": ([3], (0, 12)),
    "layers.0.weight": ([2, 3], (12, 36)),
    "layers.1.bias": ([1], (36, 40)),
    "layers.1.weight": ([3, 1], (40, 52)),
}
VALUES = [value / 8 for value in range(13)]


def values(*changed: float) -> bytes:
    return struct.pack("<13f", *changed, *VALUES[len(changed) :])


def tensor(name: str, shape: list[int], offsets: tuple[int, int], dtype: str = "F32") -> str:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}"


def header(settings: str = SETTINGS) -> str:
    entries = [tensor(name, *entry) for name, entry in TENSORS.items()]
    return ",".join([f'{{"__metadata__":{{"fastmlp":{json.dumps(settings)}}}', *entries]) + "}"


def file(text: str | bytes, data: bytes = values(), size: int | None = None) -> bytes:
    raw = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(raw) if size is None else size) + raw + data


# The state of its training after two epochs.
TRAINING = (
    '{"batch_size": 4, "dropout": true, "early_stopping": true, "epochs": 2, "first_epoch": 5, '
    '"format": 1, "numbers": 10, "optimizer": "Adam", "rows": 9, "sample_weight": false, '
    '"schedule": false, "seed": 5, "shuffle": true, "standardize": false, "steps": 6, '
    '"stopped_by": "epochs", "validation": true, "vectors": 2}'
)
TRAINING_TENSORS = {  # in 8 bytes or 4 for each number
    "training.best": ("F32", 13),
    "training.dropout": ("F64", 1),
    "training.learning_rate": ("F64", 2),
    "training.loss": ("F64", 2),
    "training.optimizer": ("F64", 10),
    "training.optimizer.0": ("F32", 13),
    "training.optimizer.1": ("F32", 13),
    "training.val_loss": ("F64", 2),
}
OPTIONAL = ("training.best", "training.dropout", "training.val_loss")
VECTORS = ("training.optimizer.0", "training.optimizer.1")
BARE = re.sub(r"(dropout|early_stopping|validation)\": true", r'\1": false', TRAINING).replace(
    '"vectors": 2', '"vectors": 0'
)


def checkpoint(
    settings: str | None = TRAINING,
    without: tuple[str, ...] = (),
    of_network: str = SETTINGS,
    change: tuple[str, str] = ("", ""),
    fill: bytes = b"\1",
    **more: tuple[str, int],
) -> bytes:
    """A file with the state of a training run; `change` is made in the header at last."""
    wide = "float64" in of_network
    entries, begin = [], 104 if wide else 52
    tensors = {name: entry for name, entry in TRAINING_TENSORS.items() if name not in without}
    for name, (dtype, size) in (tensors | more).items():
        dtype = "F64" if wide else dtype
        end = begin + size * int(dtype[1:]) // 8
        entries.append(tensor(name, [size], (begin, end), dtype))
        begin = end
    key = "" if settings is None else f',"fastmlp_training":{json.dumps(settings)}'
    text = (wide_header() if wide else header()).replace('}"},"l', f'}}"{key}}},"l')
    text = ",".join([text[:-1], *entries]) + "}"
    assert change[0] in text, change
    whole = struct.pack("<13d", *VALUES) if wide else values()
    return file(text.replace(*change), whole + fill * (begin - len(whole)))


def no_hidden_header(key: str = "") -> str:
    settings = SETTINGS.replace("[2, 3, 1]", "[2, 1]").replace('["relu"]', "[]")
    tensors = [tensor("layers.0.bias", [1], (0, 4)), tensor("layers.0.weight", [2, 1], (4, 12))]
    return f'{{"__metadata__":{{"fastmlp":{json.dumps(settings)}{key}}},' + ",".join(tensors)


def no_hidden(training: str) -> bytes:
    """A checkpoint of a network without hidden layers."""
    sizes = [("best", "F32", 3), ("learning_rate", "F64", 2), ("loss", "F64", 2)]
    sizes += [("optimizer", "F64", 10), ("optimizer.0", "F32", 3), ("optimizer.1", "F32", 3)]
    sizes += [("val_loss", "F64", 2)]
    if '"dropout": true' in training:
        sizes += [("dropout", "F64", 0)]
    text, begin = no_hidden_header(f',"fastmlp_training":{json.dumps(training)}'), 12
    for name, dtype, size in sizes:
        end = begin + size * int(dtype[1:]) // 8
        text += "," + tensor(f"training.{name}", [size], (begin, end), dtype)
        begin = end
    return file(text + "}", bytes(begin))


def bare(settings: str) -> bytes:
    """A file with these settings of a training run and the tensors that every run has."""
    return checkpoint(settings, OPTIONAL + VECTORS)


def in_training(old: str, new: str) -> bytes:
    assert old in BARE, old
    return bare(BARE.replace(old, new))


def wide_header() -> str:
    return (
        header(SETTINGS.replace("float32", "float64"))
        .replace("F32", "F64")
        .replace("[0,12]", "[0,24]")
        .replace("[12,36]", "[24,72]")
        .replace("[36,40]", "[72,80]")
        .replace("[40,52]", "[80,104]")
    )


def padded(text: str) -> str:
    return text + " " * (-len(text) % 8)


def in_header(old: str, new: str | bytes) -> bytes:
    before, found, after = header().partition(old)
    assert found, old
    return file(before.encode() + (new.encode() if isinstance(new, str) else new) + after.encode())


def in_settings(old: str, new: str) -> bytes:
    assert old in SETTINGS, old
    return file(header(SETTINGS.replace(old, new)))


def moved(order: list[str]) -> bytes:
    """The tensors in another order, in the data and in the header."""
    entries, data, begin = [], b"", 0
    for name in order:
        shape, (first, last) = TENSORS[name]
        entries.append(tensor(name, shape, (begin, begin + last - first)))
        data += values()[first:last]
        begin += last - first
    start = header().partition(',"layers.0.bias"')[0]
    return file(",".join([start, *entries]) + "}", data)


def as_saved(text: str, data: bytes = values()) -> bytes:
    return file(padded(text), data)


def small(settings: str, tensors: str, data: bytes) -> bytes:
    return file(f'{{"__metadata__":{{"fastmlp":{json.dumps(settings)}}},{tensors}}}', data)


def with_texts(texts: dict[str, str]) -> str:
    """The header of the network with these texts in the metadata, as `save` writes it."""
    metadata = dict(sorted({**texts, "fastmlp": SETTINGS}.items()))
    text = json.dumps(metadata, separators=(",", ":"))
    return '{"__metadata__":' + text + header().partition('"}')[2]


def scaled(
    output: str = "sigmoid",
    setting: str = '"scaling": true, ',
    change: tuple[str, str] = ("", ""),
    numbers: tuple[float, ...] = (1.5, -2.0, 0.5, 4.0, 7.0, 0.25),
) -> bytes:
    """A network with a scaling; `change` is made in the header at last."""
    settings = SETTINGS.replace("sigmoid", output).replace('"seed"', setting + '"seed"')
    sizes = {"input_mean": 2, "input_scale": 2}
    if output == "identity":
        sizes |= {"output_mean": 1, "output_scale": 1}
    entries, begin = [], 52
    for name, size in sizes.items():
        end = begin + 8 * size
        entries.append(tensor(f"scaling.{name}", [size], (begin, end), "F64"))
        begin = end
    text = ",".join([header(settings)[:-1], *entries]) + "}"
    assert change[0] in text, change
    count = sum(sizes.values())
    return as_saved(text.replace(*change), values() + struct.pack(f"<{count}d", *numbers[:count]))


def with_loss(
    loss: str = '"huber"',
    numbers: tuple[float, ...] = (0.5,),
    output: str = "identity",
    change: tuple[str, str] = ("", ""),
) -> bytes:
    """A network of one output with a loss; `change` is made in the header at last."""
    settings = SETTINGS.replace("sigmoid", output).replace('"output"', f'"loss": {loss}, "output"')
    end = 52 + 8 * len(numbers)
    entry = "," + tensor("loss.parameters", [len(numbers)], (52, end), "F64") if numbers else ""
    text = header(settings)[:-1] + entry + "}"
    assert change[0] in text, change
    return as_saved(text.replace(*change), values() + struct.pack(f"<{len(numbers)}d", *numbers))


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


METADATA = '"__metadata__":{'
BIAS = '"layers.0.bias":'
SAVED = as_saved(header())
NAN = as_saved(header(), values(float("nan"), float("inf"), -0.0))
LATER = as_saved(header(SETTINGS.replace("7", str(2**62)).replace("5}", f"{2**64 - 1}}}")))
ZERO = as_saved(header(SETTINGS.replace("5}", "0}")))
DOUBLE = as_saved(wide_header(), struct.pack("<13d", *VALUES))

# name: (bytes, the case whose bytes `save` would write; None if the file is refused)
CASES: dict[str, tuple[bytes, str | None]] = {
    "as saved": (SAVED, "as saved"),
    "float64": (DOUBLE, "float64"),
    "weights that are not finite": (NAN, "weights that are not finite"),
    "largest numbers": (LATER, "largest numbers"),
    # The header's size and the file's end
    "empty file": (b"", None),
    "seven bytes": (SAVED[:7], None),
    "no header": (file("", b""), None),
    "header of size zero, then zeros": (bytes(64), None),
    "header past the end": (file(header(), size=2**20), None),
    "header of 100,000,001 bytes": (file(header(), size=100_000_001), None),
    "header of 2**64 - 1 bytes": (file(header(), size=2**64 - 1), None),
    "header too short by one": (file(header(), size=len(header()) - 1), None),
    "header of odd size": (file(header() + " " * (1 - len(header()) % 2)), "as saved"),
    "padding of every whitespace": (file(header() + " \t\r\n"), "as saved"),
    "padding of form feed": (file(header() + "\f"), None),
    "padding of zeros": (file(header() + "\0"), None),
    "text after the object": (file(header() + "1"), None),
    "two objects": (file(header() + "{}"), None),
    "space before the object": (file(" " + header()), None),
    "byte order mark": (file("\ufeff" + header()), None),
    "UTF-16": (file(header().encode("utf-16-le")), None),
    "one byte less": (SAVED[:-1], None),
    "one byte more": (SAVED + b"\0", None),
    "one float more": (SAVED + bytes(4), None),
    "no tensors' bytes": (file(header(), b""), None),
    # JSON
    "a list": (file("[]"), None),
    "an empty object": (file("{}"), None),
    "not closed": (file(header()[:-1]), None),
    "comma at the end": (file(header()[:-1] + ",}"), None),
    "comment": (in_header(BIAS, "/**/" + BIAS), None),
    "single quotes": (file(header().replace('"', "'")), None),
    "whitespace everywhere": (
        file(json.dumps(json.loads(header()), indent="\t ").replace("\n", "\r\n")),
        "as saved",
    ),
    "escapes in names": (in_header("layers.0.bias", "\\u006cayers\\u002e0.bias"), "as saved"),
    "depth 20": (in_header(BIAS, f'"x":{deep(20)},{BIAS}'), None),
    "depth 1500": (in_header(BIAS, f'"x":{deep(1500)},{BIAS}'), None),
    "many empty objects": (file('{"x":[' + "{}," * 600 + "{}]}"), None),
    # Metadata
    "no metadata": (file("{" + header().partition("},")[2]), None),
    "metadata null": (in_header("{" + METADATA, '{"__metadata__":null,"x":{'), None),
    "metadata twice": (in_header(BIAS, f'{METADATA}"fastmlp":"{{}}"}},{BIAS}'), None),
    "metadata last": (
        file("{" + header().partition("},")[2][:-1] + "," + header().partition("},")[0][1:] + "}}"),
        "as saved",
    ),
    "metadata without fastmlp": (in_header('"fastmlp"', '"format"'), None),
    "fastmlp twice": (in_header('"fastmlp":', '"fastmlp":"{}","fastmlp":'), None),
    "fastmlp twice, once escaped": (
        in_header('"fastmlp":', '"\\u0066astmlp":"{}","fastmlp":'),
        None,
    ),
    "fastmlp a number": (in_header('"fastmlp":', '"fastmlp":1,"x":'), None),
    "other metadata": (in_header(METADATA, METADATA + '"format":"pt",'), "other, as saved"),
    "other, as saved": (as_saved(with_texts({"format": "pt"})), "other, as saved"),
    "metadata of a later fastmlp": (in_header(METADATA, METADATA + '"fastmlp_x":"",'), None),
    "metadata of fastmlp.tabular": (in_header('"fastmlp"', '"fastmlp_tabular"'), None),
    "other metadata of commas": (
        in_header(METADATA, METADATA + f'"list":"{"[{,:" * 400}",'),
        "commas, as saved",
    ),
    "commas, as saved": (as_saved(with_texts({"list": "[{,:" * 400})), "commas, as saved"),
    "other metadata a number": (in_header(METADATA, METADATA + '"format":1,'), None),
    "other metadata twice": (in_header(METADATA, METADATA + '"a":"","a":"",'), None),
    "99 others in the metadata": (
        in_header(METADATA, METADATA + "".join(f'"{i}":"",' for i in range(99))),
        "99 others, as saved",
    ),
    "99 others, as saved": (
        as_saved(with_texts({str(i): "" for i in range(99)})),
        "99 others, as saved",
    ),
    "100 others in the metadata": (
        in_header(METADATA, METADATA + "".join(f'"{i}":"",' for i in range(100))),
        None,
    ),
    "surrogate alone": (in_header(METADATA, METADATA + '"a":"\\ud800",'), None),
    "low surrogate alone": (in_header(METADATA, METADATA + '"a":"\\udc00",'), None),
    "surrogate alone in a name": (in_header(METADATA, METADATA + '"\\ud800":"",'), None),
    "surrogate pair": (in_header(METADATA, METADATA + '"a":"\\ud83d\\ude00",'), "pair, as saved"),
    "pair, as saved": (as_saved(with_texts({"a": "\U0001f600"})), "pair, as saved"),
    "escaped zero": (in_header(METADATA, METADATA + '"a\\u0000":"\\u0000",'), "zero, as saved"),
    "zero, as saved": (as_saved(with_texts({"a\0": "\0"})), "zero, as saved"),
    "character zero": (in_header(METADATA, METADATA + '"a":"\0",'), None),
    "line feed in a string": (in_header(METADATA, METADATA + '"a":"\n",'), None),
    "delete in a string": (in_header(METADATA, METADATA + '"a":"\x7f",'), "delete, as saved"),
    "delete, as saved": (as_saved(with_texts({"a": "\x7f"})), "delete, as saved"),
    "escape that JSON lacks": (in_header(METADATA, METADATA + '"a":"\\x41",'), None),
    "UTF-8": (in_header(METADATA, METADATA + '"ä":"€😀",'), "UTF-8, as saved"),
    "UTF-8, as saved": (as_saved(with_texts({"ä": "€😀"})), "UTF-8, as saved"),
    "every escape": (as_saved(with_texts({'"\\/\b\f\n\r\t\1\x1f\x80': ""})), "every escape"),
    "Latin-1": (in_header(METADATA, b'"__metadata__":{"a":"\xe4",'), None),
    "UTF-8, cut off": (in_header(METADATA, b'"__metadata__":{"a":"\xe2\x82",'), None),
    "UTF-8, too long": (in_header(METADATA, b'"__metadata__":{"a":"\xc0\xaf",'), None),
    "UTF-8, a surrogate": (in_header(METADATA, b'"__metadata__":{"a":"\xed\xa0\x80",'), None),
    "UTF-8, past the last": (in_header(METADATA, b'"__metadata__":{"a":"\xf4\x90\x80\x80",'), None),
    # Settings
    "settings in another order": (
        file(header(json.dumps(dict(reversed(json.loads(SETTINGS).items()))))),
        "as saved",
    ),
    "settings without spaces": (file(header(SETTINGS.replace(" ", ""))), "as saved"),
    "settings with an escape": (in_settings("relu", "\\u0072elu"), "as saved"),
    "space before the settings": (file(header(" " + SETTINGS)), None),
    "space after the settings": (file(header(SETTINGS + " \n")), "as saved"),
    "text after the settings": (file(header(SETTINGS + "x")), None),
    "settings a list": (file(header("[]")), None),
    "settings empty": (file(header("")), None),
    "settings {}": (file(header("{}")), None),
    "settings with a byte order mark": (file(header("\ufeff" + SETTINGS)), None),
    "unknown setting": (in_settings('"seed"', '"speed": 1, "seed"'), None),
    "setting twice": (in_settings('"seed"', '"seed": 5, "seed"'), None),
    "setting twice, once escaped": (in_settings('"seed"', '"\\u0073eed": 5, "seed"'), None),
    "setting missing": (in_settings(', "seed": 5', ""), None),
    "format 2": (in_settings('"format": 1', '"format": 2'), None),
    "format 1.0": (in_settings('"format": 1', '"format": 1.0'), None),
    "format true": (in_settings('"format": 1', '"format": true'), None),
    "seed NaN": (in_settings('"seed": 5', '"seed": NaN'), None),
    "seed Infinity": (in_settings('"seed": 5', '"seed": Infinity'), None),
    "seed null": (in_settings('"seed": 5', '"seed": null'), None),
    "seed 0": (
        in_settings('"seed": 5', '"seed": 0'),
        "as saved with seed 0",
    ),
    "as saved with seed 0": (
        as_saved(header(SETTINGS.replace("5}", "0}"))),
        "as saved with seed 0",
    ),
    "seed -0": (in_settings('"seed": 5', '"seed": -0'), None),
    "seed -1": (in_settings('"seed": 5', '"seed": -1'), None),
    "seed +5": (in_settings('"seed": 5', '"seed": +5'), None),
    "seed 05": (in_settings('"seed": 5', '"seed": 05'), None),
    "seed 0x5": (in_settings('"seed": 5', '"seed": 0x5'), None),
    "seed 5e0": (in_settings('"seed": 5', '"seed": 5e0'), None),
    "seed 5.0": (in_settings('"seed": 5', '"seed": 5.0'), None),
    "seed 1e999": (in_settings('"seed": 5', '"seed": 1e999'), None),
    "seed a string": (in_settings('"seed": 5', '"seed": "5"'), None),
    "seed of other digits": (in_settings('"seed": 5', '"seed": \u0665'), None),
    "seed 2**64": (in_settings('"seed": 5', f'"seed": {2**64}'), None),
    "seed of 5000 digits": (in_settings('"seed": 5', f'"seed": {"5" * 5000}'), None),
    "epochs 2**62 + 1": (in_settings(": 7", f": {2**62 + 1}"), None),
    "epochs 2**63": (in_settings(": 7", f": {2**63}"), None),
    "hidden a name": (in_settings('["relu"]', '"relu"'), None),
    "hidden unknown": (in_settings("relu", "cube"), None),
    "hidden in capitals": (in_settings("relu", "ReLU"), None),
    "hidden too long": (in_settings('["relu"]', '["relu", "relu"]'), None),
    "output unknown": (in_settings("sigmoid", "cube"), None),
    "softmax of one output": (in_settings("sigmoid", "softmax"), None),
    "dtype unknown": (in_settings("float32", "float16"), None),
    "dtype not that of the tensors": (in_settings("float32", "float64"), None),
    "one layer": (in_settings("[2, 3, 1]", "[2]"), None),
    "layers of another size": (in_settings("[2, 3, 1]", "[2, 4, 1]"), None),
    "layer -3": (in_settings("[2, 3, 1]", "[2, -3, 1]"), None),
    "layer 3.0": (in_settings("[2, 3, 1]", "[2, 3.0, 1]"), None),
    "layers in a list": (in_settings("[2, 3, 1]", "[[2, 3, 1]]"), None),
    "a layer of size zero": (
        small(
            SETTINGS.replace("[2, 3, 1]", "[2, 0, 1]"),
            ",".join(
                [
                    tensor("layers.0.bias", [0], (0, 0)),
                    tensor("layers.0.weight", [2, 0], (0, 0)),
                    tensor("layers.1.bias", [1], (0, 4)),
                    tensor("layers.1.weight", [0, 1], (4, 4)),
                ]
            ),
            bytes(4),
        ),
        None,
    ),
    "layers that overflow 64 bits": (
        small(
            SETTINGS.replace("[2, 3, 1]", f"[{2**32}, {2**32 - 1}, 1]"),
            ",".join(
                [
                    tensor("layers.0.bias", [2**32 - 1], (0, 2**34 - 4)),
                    tensor("layers.0.weight", [2**32, 2**32 - 1], (2**34 - 4, 0)),
                    tensor("layers.1.bias", [1], (0, 4)),
                    tensor("layers.1.weight", [2**32 - 1, 1], (4, 2**34)),
                ]
            ),
            bytes(64),
        ),
        None,
    ),
    "layers of 2**62 units": (
        small(
            SETTINGS.replace("[2, 3, 1]", f"[{2**62}, {2**62}]").replace('["relu"]', "[]"),
            ",".join(
                [
                    tensor("layers.0.bias", [2**62], (0, 2**64)),
                    tensor("layers.0.weight", [2**62, 2**62], (2**64, 2**126)),
                ]
            ),
            bytes(64),
        ),
        None,
    ),
    # Tensors
    "tensors in another order": (moved(sorted(TENSORS, reverse=True)), "as saved"),
    "entries in another order": (
        file(
            header().partition(',"layers.0')[0]
            + "".join(f",{tensor(name, *TENSORS[name])}" for name in reversed(TENSORS))
            + "}"
        ),
        "as saved",
    ),
    "keys in another order": (
        in_header(
            '{"dtype":"F32","shape":[3],"data_offsets":[0,12]}',
            '{"data_offsets":[0,12],"shape":[3],"dtype":"F32"}',
        ),
        "as saved",
    ),
    "tensor twice": (in_header(BIAS, tensor("layers.0.bias", [3], (0, 12)) + "," + BIAS), None),
    "tensor missing": (in_header("," + tensor("layers.1.bias", [1], (36, 40)), ""), None),
    "tensor of another name": (in_header("layers.0.bias", "layers.00.bias"), None),
    "tensor too many": (in_header(BIAS, tensor("x", [0], (0, 0)) + "," + BIAS), None),
    "tensor null": (
        in_header(tensor("layers.1.bias", [1], (36, 40)), '"layers.1.bias":null'),
        None,
    ),
    "tensor with another key": (in_header('"shape":[3]', '"shape":[3],"strides":[1]'), None),
    "tensor without a shape": (in_header('"shape":[3],', ""), None),
    "tensor with a key twice": (in_header('"shape":[3]', '"shape":[3],"shape":[3]'), None),
    "tensor of integers": (in_header('"F32"', '"I32"'), None),
    "tensor dtype a list": (in_header('"F32"', '["F32"]'), None),
    "shape transposed": (in_header("[2,3]", "[3,2]"), None),
    "shape flat": (in_header("[2,3]", "[6]"), None),
    "shape of floats": (in_header("[2,3]", "[2.0,3]"), None),
    "shape true": (in_header("[1]", "[true]"), None),
    "shape an object": (in_header("[3]", '{"a":3}'), None),
    "shape a number": (in_header("[3]", "3"), None),
    "offsets -0": (in_header("[0,12]", "[-0,12]"), None),
    "offsets 0.0": (in_header("[0,12]", "[0.0,12]"), None),
    "offsets false": (in_header("[0,12]", "[false,12]"), None),
    "offsets of three": (in_header("[0,12]", "[0,12,12]"), None),
    "offsets of one": (in_header("[0,12]", "[12]"), None),
    "offsets an object": (in_header("[0,12]", '{"0":0,"1":12}'), None),
    "offsets reversed": (in_header("[0,12]", "[12,0]"), None),
    "offsets that overlap": (in_header("[36,40]", "[32,36]"), None),
    "offsets of a hole": (in_header("[40,52]", "[44,56]"), None),
    "offsets of a hole with its bytes": (
        file(header().replace("[40,52]", "[44,56]"), values() + bytes(4)),
        None,
    ),
    "offsets past the end": (in_header("[40,52]", "[40,56]"), None),
    # Scaling
    "scaling": (scaled(), "scaling"),
    "scaling of targets": (scaled("identity"), "scaling of targets"),
    "scaling false": (scaled(setting='"scaling": false, '), None),
    "scaling 1": (scaled(setting='"scaling": 1, '), None),
    "scaling null": (scaled(setting='"scaling": null, '), None),
    "scaling without tensors": (in_settings('"seed"', '"scaling": true, "seed"'), None),
    "tensors of a scaling without the setting": (scaled(setting=""), None),
    "scaling of float32": (scaled(change=('"F64"', '"F32"')), None),
    "scaling of another size": (scaled(change=('"shape":[2],', '"shape":[1],')), None),
    "scaling of another name": (scaled(change=("input_mean", "input_men")), None),
    "scaling of targets for sigmoid": (
        scaled("identity", change=("identity", "sigmoid")),
        None,
    ),
    "scale 0": (scaled(numbers=(1.5, -2.0, 0.0, 4.0)), None),
    "scale NaN": (scaled(numbers=(1.5, -2.0, float("nan"), 4.0)), None),
    "mean infinite": (scaled(numbers=(1.5, float("inf"), 1.0, 4.0)), None),
    "mean above 2**16 scales": (scaled(numbers=(1e9, 0.0, 1.0, 4.0)), None),
    # Losses
    "huber": (with_loss(), "huber"),
    "absolute_error": (with_loss('"absolute_error"', ()), "absolute_error"),
    "pinball": (with_loss('"pinball"', (0.9,)), "pinball"),
    "pinball of two quantiles": (with_loss('"pinball"', (0.1, 0.9)), None),
    "huber of two deltas": (with_loss(numbers=(0.5, 0.5)), None),
    "huber without delta": (with_loss(numbers=()), None),
    "huber of another tensor": (with_loss(change=("loss.parameters", "loss.parameter")), None),
    "huber of float32": (with_loss(change=('"F64"', '"F32"')), None),
    "absolute_error with a number": (with_loss('"absolute_error"'), None),
    "tensor of a loss without the setting": (
        with_loss(change=('\\"loss\\": \\"huber\\", ', "")),
        None,
    ),
    "loss of another output": (with_loss(output="sigmoid"), None),
    "unknown loss": (with_loss('"hinge"', ()), None),
    "loss null": (with_loss("null", ()), None),
    "loss a number": (with_loss("0", ()), None),
    "loss a list": (with_loss('["huber"]', ()), None),
    "delta 0": (with_loss(numbers=(0.0,)), None),
    "delta NaN": (with_loss(numbers=(float("nan"),)), None),
    "delta that is 0 in float32": (with_loss(numbers=(1e-60,)), None),
    "quantile 0": (with_loss('"pinball"', (0.0,)), None),
    "quantile 1": (with_loss('"pinball"', (1.0,)), None),
    "quantile NaN": (with_loss('"pinball"', (float("nan"),)), None),
    # The state of a training
    "checkpoint": (checkpoint(), "as saved"),
    "checkpoint in float64": (
        checkpoint(of_network=SETTINGS.replace("float32", "float64")),
        "float64",
    ),
    "checkpoint without what may be missing": (bare(BARE), "as saved"),
    "checkpoint of a run with a loss of the user's own": (
        in_training('"rows"', '"own_loss": true, "rows"'),
        "as saved",
    ),
    "checkpoint of another optimizer": (in_training("Adam", "Adam 2"), "as saved"),
    "checkpoint of NaN": (checkpoint(fill=b"\xff"), "as saved"),
    "checkpoint of seed 2**64 - 1": (in_training('seed": 5', f'seed": {2**64 - 1}'), "as saved"),
    "checkpoint of 2**62 steps": (in_training('steps": 6', f'steps": {2**62}'), "as saved"),
    "checkpoint that has converged": (in_training('by": "epochs', 'by": "converged'), "as saved"),
    "checkpoint of 12 numbers": (
        checkpoint(TRAINING.replace("10", "12"), **{"training.optimizer": ("F64", 12)}),
        "as saved",
    ),
    "checkpoint of three vectors": (
        checkpoint(
            TRAINING.replace('"vectors": 2', '"vectors": 3'),
            **{"training.optimizer.2": ("F32", 13)},
        ),
        "as saved",
    ),
    "checkpoint with settings in another order": (
        checkpoint(json.dumps(dict(reversed(json.loads(TRAINING).items())))),
        "as saved",
    ),
    "training without tensors": (checkpoint(TRAINING, tuple(TRAINING_TENSORS)), None),
    "training tensors without settings": (checkpoint(None), None),
    "training in capitals": (checkpoint(change=("fastmlp_training", "fastmlp_Training")), None),
    "training {}": (checkpoint("{}"), None),
    "training a list": (checkpoint("[]"), None),
    "training empty": (checkpoint(""), None),
    "training twice": (
        checkpoint(change=('"fastmlp_training":', '"fastmlp_training":"{}","fastmlp_training":')),
        None,
    ),
    "training a number": (
        checkpoint(change=('"fastmlp_training":', '"fastmlp_training":1,"x":')),
        None,
    ),
    "training with an unknown setting": (in_training('"seed"', '"speed": 1, "seed"'), None),
    "training with a setting twice": (in_training('"seed"', '"seed": 5, "seed"'), None),
    "training of format 2": (in_training('"format": 1', '"format": 2'), None),
    "training of format true": (in_training('"format": 1', '"format": true'), None),
    **{
        f"training without {key}": (
            bare(json.dumps({k: v for k, v in json.loads(BARE).items() if k != key})),
            None,
        )
        for key in json.loads(TRAINING)
    },
    **{
        f"training with {key} {value}": (
            bare(json.dumps(json.loads(BARE) | {key: value})),
            None,
        )
        for key, values in {
            "batch_size": (0, -1, 4.0, True, "4", 2**62 + 1),
            "dropout": (0, None, "false", True),
            "early_stopping": (0, True, []),
            "epochs": (0, 1, 3, 2**61, 2**62, 2**64),
            "first_epoch": (-1, 2**62 + 1, None),
            "numbers": (0, 9, 11, 2**62),
            "optimizer": (1, None, ["Adam"]),
            "own_loss": (False, None, 1),
            "rows": (0, 2**62 + 1),
            "sample_weight": (0, None),
            "schedule": (1, {}),
            "seed": (2**64, -1, 5.0),
            "shuffle": (1, "yes"),
            "standardize": (0, None),
            "steps": (-1, 2**62 + 1, 6.0, None),
            "stopped_by": ("later", "", None, 0),
            "validation": (0, True, None),
            "vectors": (1, 2**62, 2**64, -2),
        }.items()
        for value in values
    },
    **{
        f"training without the tensor {name}": (checkpoint(without=(name,)), None)
        for name in TRAINING_TENSORS
    },
    **{
        f"training whose {name} is longer": (checkpoint(**{name: (dtype, size + 1)}), None)
        for name, (dtype, size) in TRAINING_TENSORS.items()
    },
    **{
        f"training whose {name} has another type": (
            checkpoint(**{name: ("F32" if dtype == "F64" else "F64", size)}),
            None,
        )
        for name, (dtype, size) in TRAINING_TENSORS.items()
    },
    "training with another tensor": (checkpoint(**{"training.x": ("F32", 13)}), None),
    "training with a tensor in place of another": (
        checkpoint(change=("training.best", "training.rest")),
        None,
    ),
    "training with a vector 00": (
        checkpoint(change=("training.optimizer.0", "training.optimizer.00")),
        None,
    ),
    "training of a matrix": (checkpoint(change=("[10]", "[10,1]")), None),
    "training with a hole": (checkpoint(change=("[104,112]", "[108,116]")), None),
    "training with an overlap": (checkpoint(change=("[104,112]", "[96,104]")), None),
    "training, one byte less": (checkpoint()[:-1], None),
    "training, one byte more": (checkpoint() + b"\1", None),
    "dropout without hidden layers": (no_hidden(TRAINING), None),
    "no dropout without hidden layers": (
        no_hidden(TRAINING.replace('"dropout": true', '"dropout": false')),
        "no hidden layers",
    ),
    "no hidden layers": (as_saved(no_hidden_header() + "}", bytes(12)), "no hidden layers"),
    "offsets past 64 bits": (in_header("[40,52]", f"[{2**64},{2**64 + 12}]"), None),
}


def as_json() -> str:
    cases = {
        name: {"saved": saved, "bytes": raw.decode("latin-1")}
        for name, (raw, saved) in CASES.items()
    }
    return json.dumps(cases, indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(as_json())
    else:  # a folder: each case as a file, for a fuzzer to start from
        folder = Path(sys.argv[1])
        folder.mkdir(parents=True, exist_ok=True)
        for index, (raw, _) in enumerate(CASES.values()):
            (folder / f"{index:03}").write_bytes(raw)
