"""What frontend, stages and `compose inspect` know of disks comes from one file."""

import ast
import json
import re
import shutil
from pathlib import Path

from jsonschema import Draft7Validator

from osbuild_compose.disk import types
from runner.manifest.model import ModuleKind
from runner.programs import ProgramCatalog
from tests.conftest import REPO

FILE = REPO / "schemas/disk-types.json"
DATA = json.loads(FILE.read_text())
PROGRAMS = [
    path
    for top in ("osbuild_compose", "runner", "stages", "assemblers", "templates")
    for path in sorted((REPO / top).rglob("*"))
    if path.is_file() and path.suffix not in (".pyc", ".key") and not path.samefile(FILE)
]


def test_the_file_is_what_its_schema_says() -> None:
    schema = json.loads((REPO / "schemas/disk-types.schema.json").read_text())
    Draft7Validator.check_schema(schema)
    Draft7Validator(schema).validate(DATA)
    assert sorted(types.FileSystemType) == sorted(DATA["file_systems"])


def test_a_types_guid_stands_nowhere_else() -> None:
    texts = {path: path.read_text(errors="replace").lower() for path in PROGRAMS}
    for item in DATA["partition_types"]:
        assert [path for path, text in texts.items() if item["guid"] in text] == [], item["title"]


SIZES = {"ALIGNMENT", "EXTENT", "LEAST", "GPT_ENTRIES", "OVERHEAD", "DOS_PARTITIONS", "DOS_SECTORS", "READ_ONLY"}


def test_sizes_are_not_defined_again() -> None:
    for path in PROGRAMS:
        if path.suffix != ".py" or "disk" not in path.parts or "writer" in path.parts:
            continue
        for node in ast.parse(path.read_text()).body:
            names = {one.id for one in getattr(node, "targets", ()) if isinstance(one, ast.Name)}
            if isinstance(node, ast.Assign) and names & SIZES:
                assert not isinstance(node.value, ast.Constant | ast.BinOp | ast.Tuple), f"{path}:{node.lineno}"
        minimums = [facts["minimum"] >> 20 for facts in DATA["file_systems"].values() if "minimum" in facts]
        for found in re.finditer(r"\b(\d+) \* MIB", path.read_text()):
            assert int(found[1]) not in minimums, f"{path}: {found[0]}"


def test_types_by_name_guid_and_mount_point() -> None:
    assert types.type_name("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") == types.type_name("ef") == "esp"
    assert types.type_name("83") == "83"
    assert types.type_for_mount("/", "x86_64") == "root-x86-64"
    assert types.type_for_mount("/", "aarch64") == types.type_for_mount("/opt", "x86_64") == "linux"


def test_programs_that_read_the_file_have_it_in_their_digest(tmp_path: Path) -> None:
    for name in ("stages/stagelib", "assemblers"):
        shutil.copytree(REPO / name, tmp_path / name)
    name = "org.osbuild-compose.image"
    before = ProgramCatalog([tmp_path]).find(ModuleKind.ASSEMBLER, name).digest
    copy = tmp_path / "stages/stagelib/disk/types.json"
    copy.write_text(copy.read_text().replace("4194304", "8388608"))
    assert ProgramCatalog([tmp_path]).find(ModuleKind.ASSEMBLER, name).digest != before
