"""Device nodes in the headers of RPM packages, whole and damaged."""

import random
import struct
from pathlib import Path

import pytest
from stagelib.devices import Device
from stagelib.rpm import device_nodes
from stagelib.rpm.device_nodes import INT16, INT32, STRING, STRINGS, Node

FILES = {
    "/srv/dev/null": (0o020666, 1 << 8 | 3, 0, "root"),
    "/srv/dev/sda": (0o060660, 8 << 8 | 1, 0, "web"),
    "/srv/dev/later": (0o060660, 8 << 8 | 2, device_nodes.GHOST, "root"),
    "/dev/zero": (0o020666, 1 << 8 | 5, 0, "root"),
    "/srv/file": (0o100644, 0, 0, "root"),
}
NODES = [
    Node("a-1-2.noarch", "/srv/dev/null", Device("c", 1, 3), 0o666, "root", "root", 1000),
    Node("a-1-2.noarch", "/srv/dev/sda", Device("b", 8, 1), 0o660, "web", "root", 1001),
]


def header(tags: dict[int, tuple[int, list[int] | list[str]]]) -> bytes:
    index, store = b"", b""
    for tag, (kind, values) in tags.items():
        store += bytes(-len(store) % 4)
        index += struct.pack(">IIII", tag, kind, len(store), len(values))
        for value in values:
            if isinstance(value, str):
                store += value.encode() + b"\0"
            else:
                store += value.to_bytes({INT16: 2, INT32: 4}[kind], "big")
    return device_nodes.MAGIC + struct.pack(">4xII", len(tags), len(store)) + index + store


def package(files: dict[str, tuple[int, int, int, str]]) -> bytes:
    directories = sorted({path.rpartition("/")[0] + "/" for path in files})
    tags: dict[int, tuple[int, list[int] | list[str]]] = {
        tag: (STRING, [text]) for tag, text in zip(device_nodes.PACKAGE, ("a", "1", "2", "noarch"), strict=True)
    }
    tags[device_nodes.MODES] = INT16, [one[0] for one in files.values()]
    tags[device_nodes.NUMBERS] = INT16, [one[1] for one in files.values()]
    tags[device_nodes.FLAGS] = INT32, [one[2] for one in files.values()]
    tags[device_nodes.TIMES] = INT32, [1000 + number for number in range(len(files))]
    tags[device_nodes.USERS] = STRINGS, [one[3] for one in files.values()]
    tags[device_nodes.GROUPS] = STRINGS, ["root"] * len(files)
    tags[device_nodes.DIRECTORIES] = STRINGS, directories
    tags[device_nodes.NAMES] = STRINGS, [path.rpartition("/")[2] for path in files]
    tags[device_nodes.DIRECTORY_OF] = INT32, [directories.index(path.rpartition("/")[0] + "/") for path in files]
    signature = header({1000: (INT32, [1]), 1004: (STRING, ["xyz"])})
    padding = bytes(-(len(signature) - device_nodes.INTRO) % 8)
    return bytes(device_nodes.LEAD) + signature + padding + header(tags) + b"payload"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.rpm"
    path.write_bytes(package(FILES))
    return path


def test_nodes_that_rpm_would_make(file: Path, tmp_path: Path) -> None:
    (tmp_path / "b.rpm").write_bytes(package({"/srv/file": FILES["/srv/file"]}))
    assert device_nodes.of_packages([str(file), str(tmp_path / "b.rpm"), str(tmp_path / "missing")]) == NODES
    assert device_nodes.skipped(NODES) == ":/srv/dev/null:/srv/dev/sda"
    odd = [Node("", path, NODES[0].device, 0, "", "", 0) for path in ("/a:b", "/a%b", "/a\nb", "/c")]
    assert device_nodes.skipped(odd) == ":/c"


def test_damaged_packages_are_left_to_rpm(file: Path) -> None:
    whole = file.read_bytes()
    chance = random.Random(12)
    for number in range(2000):
        data = bytearray(whole)
        if number % 3:
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        else:
            del data[chance.randrange(len(data)) :]
        file.write_bytes(data)
        assert len(device_nodes.of_packages([str(file)])) <= len(FILES)
