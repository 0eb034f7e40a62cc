"""Blueprints of osbuild as people have them: carried over as they are meant, or not at all."""

import contextlib
import io
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from osbuild_compose.cli import main as command_line
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from tests.conftest import REPO
from tests.integration.cli.commands import wrong

CASES = REPO / "tests/cases"
HEAD = 'name = "a"\n[[packages]]\nname = "jq"\n'


_distributions = cache(catalog.find)  # the same for all of them, and slow to read


def compose(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What the command line does, in this process: that is quicker."""
    out, error = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd or Path()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
        mock.patch.object(catalog, "find", _distributions),
    ):
        status = command_line(arguments)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), error.getvalue())


def imported(path: Path, distro: str, *arguments: str) -> tuple[dict[str, Any], str]:
    """Our blueprint, which passes its check, and what was told."""
    done = compose("import", str(path), "--distro", distro, *arguments)
    assert done.returncode == 0, done.stderr
    blueprint = path.parent / f"{path.name}.yaml" if path.parent != CASES else None
    data: dict[str, Any] = reader.parse(done.stdout.encode(), "out.yaml").data
    if blueprint:
        blueprint.write_text(done.stdout)
        assert compose("check", str(blueprint)).returncode == 0
    return data, done.stderr


def case(name: str, distro: str, tmp_path: Path) -> tuple[dict[str, Any], str]:
    """The same for a case."""
    copy = tmp_path / name
    copy.write_bytes((CASES / name).read_bytes())
    return imported(copy, distro)


def text(tmp_path: Path, toml: str, distro: str = "fedora-43") -> tuple[dict[str, Any], str]:
    """The same for a text."""
    (tmp_path / "in.toml").write_text(toml)
    return imported(tmp_path / "in.toml", distro)


def refused(tmp_path: Path, toml: str, *messages: str, distro: str = "fedora-43") -> None:
    """Import the text, which ends with an error and nothing on standard output."""
    (tmp_path / "in.toml").write_text(toml)
    done = compose("import", "in.toml", "--distro", distro, cwd=tmp_path)
    assert done.stdout == ""
    for message in messages:
        wrong(done, message)


def test_import_blueprint_in_a_mapping(tmp_path: Path) -> None:
    data, told = case("import-blueprint-in-a-mapping.json", "fedora-43", tmp_path)
    assert data["users"] == [{"name": "ops", "password": "secret", "groups": ["wheel"]}]
    assert data["kernel"] == {"append": "nosmt"}
    assert told == ""


def test_import_file_base64(tmp_path: Path) -> None:
    data, told = case("import-file-base64.toml", "fedora-43", tmp_path)
    assert data["files"] == [{"path": "/etc/app.conf", "base64": "aGVsbG8K"}]
    assert told == ""


def test_import_lvm_root(tmp_path: Path) -> None:
    data, told = case("import-lvm-root.toml", "centos-9", tmp_path)
    boot, group = data["disk"]["partitions"]
    assert boot == {"mount": "/boot", "minimum": "1 GiB"}
    assert (group["volume_group"], group["minimum"]) == ("vg0", "8 GiB")
    root = {"name": "rootlv", "mount": "/", "file_system": "ext4", "minimum": "4 GiB"}
    assert group["logical_volumes"] == [root]
    assert told == ""


def test_import_lvm_without_volumes(tmp_path: Path) -> None:
    data, told = case("import-lvm-without-volumes.toml", "centos-9", tmp_path)
    boot, group = data["disk"]["partitions"]
    assert boot["mount"] == "/boot"
    assert group == {
        "volume_group": "vg00",
        "minimum": "3 GiB",
        "logical_volumes": [{"name": "rootlv", "mount": "/"}],
    }
    assert told == ""


def test_import_mount_with_slash_at_end(tmp_path: Path) -> None:
    data, told = case("import-mount-with-slash-at-end.toml", "fedora-43", tmp_path)
    assert data["disk"]["partitions"] == [{"mount": "/data", "minimum": "1 GiB"}]
    assert told == ""


def test_import_name_with_spaces(tmp_path: Path) -> None:
    data, told = case("import-name-with-spaces.toml", "fedora-43", tmp_path)
    assert data["name"] == "Node-App-Server"
    assert told.startswith('changed: name: "Node App Server" is Node-App-Server here')
    assert told.endswith("import-name-with-spaces.toml:1)\n")


def test_names_of_files(tmp_path: Path) -> None:
    for file, name in (("my server.toml", "my-server"), (f"{'x' * 90}.toml", "x" * 64), ("_ä.toml", "image")):
        (tmp_path / file).write_text('[[packages]]\nname = "jq"\n')
        data, told = imported(tmp_path / file, "fedora-43")
        assert (data["name"], told) == (name, "")
    assert imported(tmp_path / "my server.toml", "fedora-43", "--name", "web")[0]["name"] == "web"
    wrong(compose("import", str(tmp_path / "my server.toml"), "--distro", "debian-12", "--name", "a b"), "--name: ")


def test_import_of_an_export(tmp_path: Path) -> None:
    data, told = case("import-of-an-export.json", "centos-9", tmp_path)
    assert data["packages"] == ["nginx"]
    assert data["hostname"] == "h"
    assert data["users"] == [{"name": "ops", "groups": ["wheel"]}]
    assert data["disk"]["partitions"] == [{"mount": "/", "minimum": 10 << 30}]
    assert told == ""


def test_an_export_with_more_in_it(tmp_path: Path) -> None:
    custom = {
        "packages": ["nginx", "@core"],
        "users": [{"name": "ops", "ssh_key": "ssh-ed25519 AAAA x", "hasPassword": True}],
        "groups": [{"name": "web", "gid": 1300}],
        "fips": {"enabled": True},
        "custom_repositories": [{"id": "x", "baseurl": ["https://example.org/x"], "check_gpg": False, "enabled": True}],
        "subscription": {"organization": 1},
        "services": {"enabled": ["nginx"]},
    }
    (tmp_path / "e.json").write_text(json.dumps({"name": "e", "distribution": "centos-9", "customizations": custom}))
    done = compose("import", "e.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = reader.parse(done.stdout.encode(), "e.yaml").data
    assert (data["distro"], data["packages"], data["fips"]) == ("centos-9", ["nginx", "@core"], True)
    assert data["users"] == [{"name": "ops", "ssh_keys": ["ssh-ed25519 AAAA x"]}]
    assert data["groups"] == [{"name": "web", "gid": 1300}]
    repository = {"id": "x", "baseurl": "https://example.org/x", "check_signatures": False, "use": "image"}
    assert data["repositories"] == ["default", repository]
    assert "not carried over: customizations.subscription: unknown key" in done.stderr
    assert "not carried over: customizations.users[0].hasPassword: the export does not have the password" in done.stderr


def test_import_toml_key_twice(tmp_path: Path) -> None:
    path = tmp_path / "in.toml"
    path.write_bytes((CASES / "import-toml-key-twice.toml").read_bytes())
    done = compose("import", "in.toml", "--distro", "centos-9", cwd=tmp_path)
    wrong(done, "in.toml:3:9: error: `groups` is there already, in line 2")
    refused(tmp_path, 'name = "a"\n[customizations]\nhostname = "a"\nhostname = "b"\n', "in line 3", "in.toml:4:")
    refused(tmp_path, "[customizations.kernel]\nname = 'a'\n[customizations.kernel]\n", "in line 1", "in.toml:3:")
    (tmp_path / "in.json").write_text('{"name": "a", "customizations": {"hostname": "a", "hostname": "b"}}')
    wrong(compose("import", "in.json", "--distro", "centos-9", cwd=tmp_path), "`hostname` is there twice")


def test_import_what_the_distribution_refuses(tmp_path: Path) -> None:
    data, told = case("import-what-the-distribution-refuses.toml", "debian-12", tmp_path)
    # Firewalld is what osbuild's images get for it.
    assert data == {"name": "deb", "distro": "debian-12", "packages": ["firewalld"], "firewall": {"ports": ["22:tcp"]}}
    assert "not carried over: groups[0].name: " in told
    assert "not carried over: customizations.fips: " in told
    done = compose(
        "import", str(CASES / "import-what-the-distribution-refuses.toml"), "--distro", "debian-12", "--strict"
    )
    wrong(done, "refuses.toml:3:1: error: not carried over: `groups[0].name`")
    wrong(done, "refuses.toml:5:1: error: not carried over: `customizations.fips`")
    assert done.stdout == ""


def test_a_list_of_one_customization(tmp_path: Path) -> None:
    toml = '[[customizations]]\nhostname = "h"\n[[customizations.user]]\nname = "ops"\nshell = "x"\n'
    data, told = text(tmp_path, HEAD + toml)
    assert data["hostname"] == "h"
    assert "not carried over: customizations[0].user[0].shell: " in told
    assert told.rstrip().endswith("in.toml:8)")
    refused(tmp_path, HEAD + "[[customizations]]\n[[customizations]]\n", "there are several")


@pytest.mark.parametrize(
    ("item", "what"),
    [
        ('[[customizations.user]]\nname = "ops"\nshell = "sh"\n', "user[0].shell"),
        ('[[customizations.user]]\nname = "ops"\nshell = 1\n', "user[0].shell"),
        ('[[customizations.user]]\nname = "ops"\nexpiredate = "soon"\n', "user[0].expiredate"),
        ('[[customizations.user]]\nname = "ops"\nforce_password_reset = "yes"\n', "user[0].force_password_reset"),
        ('[[customizations.user]]\nname = "ops"\nhome = "x"\n', "user[0].home"),
        ('[[customizations.user]]\nname = "ops%"\n', "user[0].name"),
        ('[[customizations.files]]\npath = "/srv/a"\nmode = "rw"\ndata = "x"\n', "files[0].mode"),
        ('[[customizations.files]]\npath = "/srv/a"\nmode = 600\ndata = "x"\n', "files[0].mode"),
        ('[[customizations.files]]\npath = "/srv/a"\nuser = "a b"\ndata = "x"\n', "files[0].user"),
        ('[[customizations.files]]\npath = "/srv/a"\ndata = "x"\ndata_encoding = "rot13"\n', "files[0].data_encoding"),
        ('[[customizations.directories]]\npath = "/srv/a"\nmode = "rwx"\n', "directories[0].mode"),
        (
            '[[customizations.repositories]]\nid = "a"\nbaseurls = ["https://a"]\nrepo_gpgcheck = true\n',
            "repositories[0]",
        ),
        ('[[customizations.filesystem]]\nmountpoint = "/data/../x"\nminsize = 1\n', "filesystem[0].mountpoint"),
    ],
)
def test_what_protects_an_item_is_not_lost_alone(tmp_path: Path, item: str, what: str) -> None:
    data, told = text(tmp_path, HEAD + item)
    assert set(data) == {"name", "distro", "packages"}
    assert f"not carried over: customizations.{what}" in told
    assert "left out" in told
    assert "(in.toml:" in told or "in.toml:" in told


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[customizations.services]\nmasked = "rpcbind"\n', "`customizations.services.masked`: has the wrong type"),
        ("[customizations.services]\ndisabled = [1]\n", "`customizations.services.disabled[0]`: has the wrong type"),
        ('[customizations.services]\nmasked = ["a b"]\n', "`customizations.services.masked[0]` cannot be carried over"),
        ('[customizations.sshd]\npassword_authentication = "no"\n', "password_authentication`: has the wrong type"),
        ('[customizations.sshd]\npermit_root_login = "never"\n', "permit_root_login` cannot be carried over"),
        ('[customizations.firewall.services]\ndisabled = ["a b"]\n', "disabled[0]` cannot be carried over"),
        ('[[customizations.firewall.zones]]\nname = "drop"\nsources = ["x"]\n', "sources[0]` cannot be carried over"),
        ('[customizations.kernel]\nappend = "audit=1;"\n', "kernel.append` cannot be carried over"),
        ('[[customizations.disk.partitions]]\nmountpoint = "/a"\nfs_type = "zfs"\n', "fs_type` cannot be carried over"),
        ('[[customizations.disk.partitions]]\ntype = "raid"\n', "there is no such kind of partition: raid"),
        ('[customizations]\npartitioning_mode = "zfs"\n', "there is no such mode: zfs"),
    ],
)
def test_what_protects_the_image_is_not_lost(tmp_path: Path, toml: str, message: str) -> None:
    refused(tmp_path, HEAD + toml, message, "in.toml:")


def test_another_architecture_is_no_other_image(tmp_path: Path) -> None:
    refused(tmp_path, HEAD.replace("\n", '\narchitecture = "aarch64"\n', 1), "aarch64", "in.toml:2:")
    assert text(tmp_path, HEAD.replace("\n", '\narch = "amd64"\n', 1))[0]["arch"] == "x86_64"


def test_sizes_as_text(tmp_path: Path) -> None:
    toml = '[[customizations.filesystem]]\nmountpoint = "/"\nminsize = "10737418240"\n'
    toml += '[[customizations.filesystem]]\nmountpoint = "/srv"\nminsize = "500 MB"\n'
    data, told = text(tmp_path, HEAD + toml)
    assert data["disk"]["partitions"] == [{"mount": "/", "minimum": 10 << 30}, {"mount": "/srv", "minimum": "500 MB"}]
    assert told == ""


def test_modes_of_partitioning(tmp_path: Path) -> None:
    toml = '[[customizations.filesystem]]\nmountpoint = "/"\nminsize = "10 GiB"\n'
    toml += '[[customizations.filesystem]]\nmountpoint = "/var/log/"\nminsize = "1 GiB"\n'
    boot, lvm = text(tmp_path, HEAD + f'[customizations]\npartitioning_mode = "lvm"\n{toml}')[0]["disk"]["partitions"]
    assert boot["mount"] == "/boot"
    assert [(item["name"], item["mount"]) for item in lvm["logical_volumes"]] == [
        ("rootlv", "/"),
        ("var_loglv", "/var/log"),
    ]
    auto = text(tmp_path, HEAD + f'[customizations]\npartitioning_mode = "auto-lvm"\n{toml}')[0]["disk"]["partitions"]
    assert auto == [boot, lvm]
    _, btrfs = text(tmp_path, HEAD + f'[customizations]\npartitioning_mode = "btrfs"\n{toml}')[0]["disk"]["partitions"]
    assert [item["mount"] for item in btrfs["subvolumes"]] == ["/", "/var/log"]
    assert btrfs["minimum"] == 11 << 30


@pytest.mark.parametrize(
    "toml",
    [
        'name = "{{ name }}"\n[[packages]]\nname = "jq"\n',
        '[[customizations.user]]\nname = "ops"\npassword = "{{ password }}"\n',
        '{% for user in users %}\n[[customizations.user]]\nname = "x"\n{% endfor %}\n',
        "name = {{ name }}\n",
        "{{ head }}\n",
    ],
)
def test_templates(tmp_path: Path, toml: str) -> None:
    refused(tmp_path, toml, "fill it in first")


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndistro: debian-12\n")
    wrong(compose("import", str(tmp_path / "a.yaml")), "if it is one of ours, it needs no import")


def test_contents_may_have_braces(tmp_path: Path) -> None:
    data, _ = text(tmp_path, HEAD + '[[customizations.files]]\npath = "/srv/a.j2"\ndata = "{{ x }}"\n')
    assert data["files"][0]["content"] == "{{ x }}"


def test_versions_and_names_for_another_family(tmp_path: Path) -> None:
    toml = (
        'name = "a"\n[[packages]]\nname = "nginx"\nversion = "1.22.1-9"\n[[packages]]\nname = "jq"\nversion = "1.*"\n'
    )
    toml += '[[customizations.user]]\nname = "ops"\ngroups = ["users", "wheel"]\n'
    toml += '[customizations.services]\nenabled = ["sshd"]\n'
    toml += '[[customizations.repositories]]\nid = "x"\nbaseurls = ["https://example.org/yum"]\n'
    data, told = text(tmp_path, toml, "debian-12")
    assert data["packages"] == ["nginx=1.22.1-9", "jq=1.*", "openssh-server"]
    assert data["users"] == [{"name": "ops", "groups": ["users"]}]
    for lost in ("customizations.user[0].groups[1]", "customizations.repositories[0]"):
        assert f"not carried over: {lost}" in told


def test_an_empty_blueprint_is_no_success(tmp_path: Path) -> None:
    refused(tmp_path, 'name = "a"\n[customizations.openscap]\nprofile_id = "x"\n', "nothing of it can be carried over")
    refused(
        tmp_path, 'name = "a"\n[[package]]\nname = "x"\n', "nothing of it can be carried over", "package: unknown key"
    )
