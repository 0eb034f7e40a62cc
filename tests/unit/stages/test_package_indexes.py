"""What stages remember of repositories between builds, when something hostile or a damaged disk has written it."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from stagelib.apt import lists
from stagelib.apt import options as apt_options
from stagelib.dnf.options import Repository
from stagelib.dnf.package_cache import PackageCache
from stagelib.packages.download_cache import Downloads

DIGEST = hashlib.sha256(b"data").hexdigest()
APT = apt_options.Options("amd64", (), (), (), recommends=False)
DNF = Repository("repo0", "baseurl", "http://x", None, None, None, {})
NAMES = ["a_\0", "a_\ud800", "a_" * 200, "../a_", "/a_", "a_/b", "_/../../c"]


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    made = Downloads(str(tmp_path / "shared"), str(tmp_path / "new"))
    (tmp_path / "shared/sha256").mkdir(parents=True)
    (tmp_path / "new").mkdir()
    (tmp_path / "shared/sha256" / DIGEST).write_bytes(b"data")
    return made


def entries(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir())


def test_lists_of_apt(downloads: Downloads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index: dict[str, Any] = {name: [DIGEST, 1] for name in NAMES}
    index |= {f"time_{n}": [DIGEST, time] for n, time in enumerate([10**40, -(10**40), -1, 1 << 63, 1.5, None])}
    downloads.save_index(lists.index_name(APT), {**index, "good_one": [DIGEST, 5]})
    place = tmp_path / "lists"
    place.mkdir()
    found: list[str] = []
    monkeypatch.setattr(lists, "update", lambda _: found.extend(entries(place)))
    lists.refresh(SimpleNamespace(lists=str(place)), downloads, APT)  # type: ignore[arg-type]
    assert found == ["good_one"]


@pytest.mark.parametrize(
    ("tag", "names"),
    [
        *(("tag", [name.replace("/", "//") if name == "a_/b" else name]) for name in NAMES),
        ("tag", ["a", "a/b"]),
        ("tag", ["packages", "packages/a.rpm"]),
        ("tag", ["/".join(["d" * 200] * 30)]),
        ("tag", ["beside/-tag", "a"]),
        ("tag", ["beside/0-tag/x"]),
        ("tag", ["beside/." + "x" * 250]),
        ("t" * 256, ["a"]),
        ("t\0", ["a"]),
        ("\ud800", ["a"]),
    ],
)
def test_files_of_dnf(downloads: Downloads, tmp_path: Path, tag: str, names: list[str]) -> None:
    cache = PackageCache(downloads, str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    for files, expected in (
        (dict.fromkeys(names, DIGEST), []),
        ({"repodata/repomd.xml": DIGEST, "beside/.solv": DIGEST}, ["repo0-good/repodata/repomd.xml", "repo0.solv"]),
    ):
        index = {"tag": "good" if expected else tag, "files": files}
        downloads.save_index(cache._index(DNF, "v"), index)
        cache.restore([DNF], "v")
        assert entries(tmp_path / "cache") == expected
