"""Every key of a blueprint is tested on a tree of each family, or refused.

tests/integration/keys has a blueprint for each family, built into a real tree that tests look at with the tree's own
programs. Keys that these do not use are listed here with the tests that cover them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from osbuild_compose.document.schema import schema_files

TESTS = Path(__file__).resolve().parents[2]
SCHEMA = schema_files.load("blueprint")
# Keys of the document, or of what is made of the tree, and where else a key is shown on a real one.
ELSEWHERE = {
    "extends": "unit/blueprint/test_composition.py",
    "profiles": "unit/blueprint/test_composition.py",
    "unset": "unit/blueprint/test_composition.py",
    "vars": "unit/blueprint/test_composition.py",
    "arch": "unit/compile/test_compile_debian.py",
    "build_environment": "integration/test_build_environment.py",
    "disk": "integration/test_disk_layouts.py",
    "formats": "integration/test_image_formats.py",
    "containers": "boot/test_containers.py",
    "scripts.network": "integration/test_container_trees.py",
    "files.url": "integration/test_frontend.py",
    "files.sha256": "integration/test_frontend.py",
    "repositories.mirrorlist": "integration/rpm/test_rpm_stages.py",
    "repositories.metalink": "integration/rpm/test_rpm_stages.py",
    "repositories.checksum": "integration/rpm/test_rpm_failures.py",
    "repositories.priority": "integration/rpm/test_rpm_failures.py",
    "repositories.check_valid_until": "integration/apt_sandbox.py",
    "recommends": "unit/test_package_cases.py",
    "repositories.check_signatures": "integration/test_apt_stage.py",
}
# What only repositories of the other family have.
DEB_ONLY = {"repositories.url", "repositories.suites", "repositories.components", "repositories.check_valid_until"}
RPM_ONLY = {
    *("repositories.id", "repositories.name", "repositories.baseurl", "repositories.mirrorlist"),
    *("repositories.metalink", "repositories.check_signatures", "repositories.checksum", "repositories.priority"),
}
# What the family's template refuses, and the test of that.
REFUSED = {
    "debian": {
        "enabled_modules": "unit/compile/test_compile_debian.py",
        "fips": "unit/compile/test_compile_debian.py",
        "selinux": "unit/compile/test_compile_debian.py",
        "initramfs.dracut_modules": "unit/compile/test_settings.py",
    },
    "fedora": {"debconf": "unit/test_package_cases.py"},
}
# The same code for both families, shown on a tree of one.
SAME = {
    "packages.source",
    "packages.url",
    "packages.sha256",
    "files.base64",
    "files.source",
    "units.dropins",
    "scripts.content",
    "users.description",
}


def keys_of_schema(node: Any, way: tuple[str, ...] = (), depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The keys that have names, two levels of them, as `users.name`, each with its schema."""
    if not isinstance(node, dict) or depth > 8:
        return
    if "$ref" in node:
        yield from keys_of_schema(SCHEMA["definitions"][node["$ref"].rpartition("/")[2]], way, depth + 1)
    for key, value in node.get("properties", {}).items():
        yield ".".join((*way, key)), value
        if len(way) == 0:
            yield from keys_of_schema(value, (key,), depth + 1)
    for keyword in ("items", "then", "else"):
        yield from keys_of_schema(node.get(keyword), way, depth + 1)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for part in node.get(keyword, ()):
            yield from keys_of_schema(part, way, depth + 1)


def keys_of(data: Any, way: tuple[str, ...] = ()) -> Iterator[str]:
    """The keys in a document, without the numbers of lists' items."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield ".".join((*way, str(key)))
            yield from keys_of(value, (*way, str(key)))
    if isinstance(data, list):
        for item in data:
            yield from keys_of(item, way)


@pytest.mark.parametrize("family", ["debian", "fedora"])
def test_every_key(family: str) -> None:
    used = set(keys_of(YAML(typ="safe").load(TESTS / f"integration/keys/{family}.yaml")))
    other = RPM_ONLY if family == "debian" else DEB_ONLY
    errors = (TESTS / "unit/blueprint/test_settings_errors.py").read_text()
    missing = []
    for key, node in keys_of_schema(SCHEMA):
        top = key.partition(".")[0]
        if node.get("not") == {}:  # refused by the schema
            assert f'("{key}: ' in errors, key
            continue
        elsewhere = {**ELSEWHERE, **REFUSED[family]}
        if key in used or key in other or (key in SAME and family == "fedora"):
            continue
        if key in elsewhere:
            assert key.rpartition(".")[2] in (TESTS / elsewhere[key]).read_text(), (key, elsewhere[key])
        elif top not in elsewhere:
            missing.append(key)
    assert missing == []
