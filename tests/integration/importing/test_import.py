"""osbuild's blueprints in our language: what is carried over, and that all else is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osbuild_compose.blueprint import load
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import InputError
from osbuild_compose.importing import osbuild, yaml_text
from osbuild_compose.importing.conversion import fit
from osbuild_compose.importing.places import Source
from tests.integration.cli.commands import compose, fine, wrong

FULL = Path(__file__).with_name("full.toml")
RELEASES = set(catalog.find().releases)


def imported(tmp_path: Path, toml: str, *arguments: str) -> tuple[dict[str, Any], str]:
    """Our blueprint, which must be right, and what was told."""
    (tmp_path / "in.toml").write_text(toml)
    done = compose("import", "in.toml", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = reader.parse(done.stdout.encode(), "out.yaml")
    load.check(document, RELEASES)
    return document.data, done.stderr


def test_everything(tmp_path: Path) -> None:
    data, told = imported(tmp_path, FULL.read_text())
    assert data["packages"] == ["nginx", "tmux-3.*", "git", "@core"]
    assert (data["name"], data["version"], data["distro"]) == ("web", "0.0.1", "fedora-43")
    assert data["hostname"] == "baseimage"
    assert data["kernel"] == {"append": "nosmt=force"}
    assert data["fips"] is True
    assert data["enabled_modules"] == [{"name": "nodejs", "stream": "20"}]
    assert (data["timezone"], len(data["timeservers"])) == ("US/Eastern", 2)
    assert (data["locale"], data["languages"], data["keyboard"]) == ("en_US.UTF-8", ["cs_CZ.UTF-8"], "us")
    assert data["services"] == {"enabled": ["sshd"], "masked": ["rpcbind"]}
    assert data["firewall"]["ports"] == ["22:tcp", "80:tcp", "imap:tcp"]
    assert data["firewall"]["services"] == {"enabled": ["ftp", "ntp"]}
    assert data["firewall"]["zones"] == [{"name": "trusted", "sources": ["192.0.2.0/24"]}]
    admin, root = data["users"]
    assert (admin["uid"], admin["home"], admin["expiredate"]) == (1200, "/srv/widget", 12345)
    assert root == {
        "name": "root",
        "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt root@x"],
    }
    assert data["groups"] == [{"name": "widget", "gid": 1130}]
    assert data["directories"] == [{"path": "/etc/systemd/system/foo.d", "mode": "0755", "owner": "root"}]
    assert data["files"] == [{"path": "/etc/issue.d/x", "mode": "0644", "content": "Hello $${USER}\nyes\n"}]
    assert [script["name"] for script in data["first_boot"]] == ["my-script", "script-3"]
    assert data["first_boot"][1]["ignore_failure"] is True
    assert data["sshd"] == {"permit_root_login": True}
    tools, signed = data["repositories"][1:]
    assert tools["baseurl"] == "https://mirror.example/tools"
    assert (tools["check_signatures"], tools["priority"], signed["id"]) == (False, 10, "signed")
    assert ("use" in tools, signed["use"]) == (False, "image")
    lost = {line.removeprefix("not carried over: ").split(": ")[0] for line in told.splitlines()}
    assert lost >= {
        "containers[0]",
        "customisations",
        "customizations.openscap",
        "customizations.installer",
        "customizations.rpm",
        "customizations.dnf",
        "customizations.rhsm",
        "customizations.fdo",
        "customizations.ignition",
        "customizations.containers-storage",
        "customizations.firstboot.scripts[1]",
        "customizations.files[1].uri",
        "customizations.repositories[0].baseurls",
        "customizations.repositories[0].sslverify",
        "customizations.repositories[1].enabled",
        "customizations.repositories[2].gpgkeys",
        "customizations.firewall.ports[3]",
        "customizations.cacerts.pem_certs[0]",
    }
    assert "customizations.iso" not in lost  # it says nothing


def test_what_is_lost_is_in_the_file_too(tmp_path: Path) -> None:
    (tmp_path / "in.toml").write_text(
        'distro = "debian-12"\n[[packages]]\nname = "jq"\n[customizations.openscap]\nprofile_id = "x"\n'
    )
    assert fine("import", "in.toml", "-o", "out.yaml", cwd=tmp_path) == ""
    written = (tmp_path / "out.yaml").read_text()
    assert written.startswith("# Made from in.toml by `compose import`.\nname: in\ndistro: debian-12\n")
    assert "# Not carried over:\n#   customizations.openscap: " in written
    wrong(compose("import", "in.toml", "-o", "out.yaml", cwd=tmp_path), "out.yaml already exists")
    fine("import", "in.toml", "-o", "out.yaml", "--force", cwd=tmp_path)
    fine("check", "out.yaml", cwd=tmp_path)


def test_json(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps({"name": "j", "distro": "rocky-9", "packages": [{"name": "vim"}]}))
    assert reader.parse(fine("import", "in.json", cwd=tmp_path).encode(), "").data["packages"] == ["vim"]


@pytest.mark.parametrize("storage", ["filesystem", "plain", "btrfs", "lvm"])
def test_partitions_are_carried_over_or_reported(tmp_path: Path, storage: str) -> None:
    toml = {
        "filesystem": '[[customizations.filesystem]]\nmountpoint = "/data"\nminsize = "2 GiB"\n',
        "plain": '[customizations.disk]\ntype = "gpt"\n[[customizations.disk.partitions]]\nfs_type = "xfs"\n'
        'mountpoint = "/data"\nminsize = "2 GiB"\n',
        "btrfs": '[[customizations.disk.partitions]]\ntype = "btrfs"\nminsize = "2 GiB"\n'
        '[[customizations.disk.partitions.subvolumes]]\nname = "data"\nmountpoint = "/data"\n',
        "lvm": '[[customizations.disk.partitions]]\ntype = "lvm"\nname = "vg"\nminsize = "2 GiB"\n'
        '[[customizations.disk.partitions.logical_volumes]]\nmountpoint = "/data"\nfs_type = "xfs"\n',
    }[storage]
    data, told = imported(tmp_path, 'distro = "debian-12"\n' + toml)
    has_partitions = "partitions" in schema_files.load("blueprint")["properties"]["disk"]["properties"]
    if not has_partitions:
        assert "not carried over: " in told
    else:
        *before, partition = data["disk"]["partitions"]
        # As osbuild has it: / is on the volume group or the btrfs, and /boot is not.
        assert before == ([{"mount": "/boot", "minimum": "1 GiB"}] if storage in ("btrfs", "lvm") else [])
        assert partition["minimum"] == "2 GiB"
        inner = [item.get("mount") for key in ("subvolumes", "logical_volumes") for item in partition.get(key, ())]
        assert "/data" in (partition.get("mount"), *inner)
        if storage == "lvm":
            assert (partition["volume_group"], partition["logical_volumes"][0]["name"]) == ("vg", "datalv")


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("a = \n", "in.toml:1:5: error: not valid TOML"),
        ("{", "not valid JSON"),
        ("[1", "not valid TOML: Expected"),
        ('name = "a"\n', "in.toml names no distribution\n  hint: say it, for example: --distro"),
        ('distro = "rhel-9.4"\n', "there is no distribution rhel-9.4 here"),
        ('distro = "fedora-42"\n', "say another one, for example: --distro fedora-4"),
        ('name = "a"\ndistro = "debian-12"\nmodules = 1\n', "nothing of it can be carried over"),
    ],
)
def test_wrong_input(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "in.toml").write_text(toml)
    wrong(compose("import", "in.toml", cwd=tmp_path), message)
    wrong(compose("import", "gone.toml", cwd=tmp_path), "cannot read gone.toml")


def test_another_distribution(tmp_path: Path) -> None:
    assert imported(tmp_path, 'distro = "rhel-9.4"\n', "--distro", "centos-9")[0]["distro"] == "centos-9"


def test_values_of_a_wrong_kind_are_reported(tmp_path: Path) -> None:
    toml = 'distro = "debian-12"\npackages = ["a", {name = "jq"}]\nname = "a"\nmodules = 1\n'
    toml += "[customizations]\nhostname = true\nuser = {}\n"
    data, told = imported(tmp_path, toml)
    assert set(data) == {"name", "distro", "packages"}
    for key in ("packages[0]", "modules", "customizations.hostname"):
        assert f"not carried over: {key}: " in told


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x85\u2028\u2029\ufeff"), max_size=40)


@given(TEXTS)
def test_text_means_what_it_meant(value: str) -> None:
    written = yaml_text.pretty({"key": value, "list": [value]}, {}, [], [])
    assert reader.parse(written.encode(), "x").data == {"key": value, "list": [value]}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "/etc/x", "ssh-rsa AA b", "${x}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "key", "user", "path", "data", "enabled", "ports", "services", "partitions", "type"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
KEYS = "hostname kernel sshkey user group timezone locale firewall services filesystem disk files firstboot"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(KEYS.split()), VALUES, max_size=3))
def test_whatever_it_says_what_comes_out_is_right(customizations: dict[str, Any]) -> None:
    source = Source({"name": "a", "customizations": customizations}, Path("a.json"))
    keys = schema_files.load("blueprint")["properties"]
    try:
        data, _ = osbuild.convert(source, "debian-12")
        wanted = {key: value for key, value in data.items() if key in keys}
        data, _ = fit(wanted, lambda document: load.check(document, RELEASES), source)
    except InputError:  # what protects the image was wrong
        return
    load.check(reader.parse(yaml_text.pretty(data, {}, [], []).encode(), "x"), RELEASES)


def test_containers_with_their_digest(tmp_path: Path) -> None:
    digest = "sha256:" + "a" * 64
    (tmp_path / "b.toml").write_text(
        f'distro = "debian-12"\n[[packages]]\nname = "podman"\n'
        f'[[containers]]\nsource = "quay.io/team/app:1@{digest}"\ntls-verify = false\n'
        f'[[containers]]\nsource = "quay.io/team/other@{digest}"\nname = "localhost/other:1"\nlocal-storage = true\n'
        '[[containers]]\nsource = "quay.io/team/third:1"\n'
    )
    done = compose("import", "b.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "b.yaml").write_text(done.stdout)
    containers = reader.read(tmp_path / "b.yaml").data["containers"]
    assert containers == [
        {"name": "quay.io/team/app:1", "url": f"docker://quay.io/team/app:1@{digest}", "tls_verify": False},
        {"name": "localhost/other:1", "url": f"docker://quay.io/team/other@{digest}"},
    ]
    assert "containers[1].local-storage" in done.stderr
    assert "skopeo inspect --format '{{.Digest}}' docker://quay.io/team/third:1" in done.stderr
