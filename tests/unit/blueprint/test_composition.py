"""Blueprints that extend others, profiles, variables, and in which order they are merged."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.model import Blueprint, Script
from osbuild_compose.document.composition.layering import Choices
from osbuild_compose.errors import ComposeError, InputError
from tests import small_key

DISTROS = ["debian-12"]
HEAD = "name: web\ndistro: debian-12\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(**choices: list[str]) -> Blueprint:
    return load.load(Path("web.yaml"), DISTROS, Choices(**choices))


def reported(**choices: list[str]) -> list[str]:
    with pytest.raises(ComposeError) as caught:
        loaded(**choices)
    return [f"{error.location}: {error.brief}" for error in caught.value.each()]


def write(**contents: str) -> None:
    for name, content in contents.items():
        Path(f"{name}.yaml").write_text(content)


def test_scalars_are_replaced_and_mappings_merged() -> None:
    write(
        base=HEAD + "hostname: a\nkernel: {append: quiet, package: linux-image-amd64}\n",
        web="extends: base.yaml\nhostname: b\nkernel: {append: debug}\n",
    )
    blueprint = loaded()
    assert blueprint.hostname == "b"
    assert (blueprint.kernel.append, blueprint.kernel.package) == ("debug", "linux-image-amd64")


def test_lists_are_appended_without_repeating_items() -> None:
    write(
        base=HEAD + "packages: [a, b]\nservices: {enabled: [x]}\nscripts: [echo]\n",
        web="extends: base.yaml\npackages: [b, c]\nservices: {enabled: [y], disabled: [z]}\nscripts: [echo]\n",
    )
    blueprint = loaded()
    assert blueprint.packages == ("a", "b", "c")
    assert blueprint.services.enabled == ("x", "y")
    assert blueprint.services.disabled == ("z",)
    assert blueprint.scripts == (Script("echo"), Script("echo"))  # a script may be there twice


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("[c]", ("a", "b", "c")),
        ("{append: [c, a]}", ("a", "b", "c")),
        ("{remove: [a]}", ("b",)),
        ("{remove: [a], append: [c]}", ("b", "c")),
        ("{remove: [a], append: [a]}", ("b", "a")),
        ("{replace: [c]}", ("c",)),
        ("{replace: []}", ()),
    ],
)
def test_changes_of_a_list(change: str, expected: tuple[str, ...]) -> None:
    write(base=HEAD + "packages: [a, b]\n", web=f"extends: base.yaml\npackages: {change}\n")
    assert loaded().packages == expected


def test_a_change_of_a_list_that_is_not_inherited() -> None:
    write(web=HEAD + "packages: {append: [a]}\nusers: [{name: a, groups: {replace: [b]}}]\n")
    assert loaded().packages == ("a",)
    assert loaded().users[0].groups == ("b",)
    write(web=HEAD + "packages: {remove: [a]}\n")
    assert reported() == ["web.yaml:3:21: `packages` does not inherit a, so it cannot be removed"]


def test_an_item_twice_in_one_file_is_still_an_error() -> None:
    write(base=HEAD + "packages: [a]\n", web="extends: base.yaml\npackages: [b, b]\n")
    assert reported() == ['web.yaml:2:15: `packages` has "b" twice']


def test_items_with_an_identity_are_merged() -> None:
    write(
        base=HEAD
        + "users: [{name: a, shell: /bin/sh, groups: [x]}, {name: b}]\n"
        + "files: [{path: /m, content: text, mode: '0600'}]\n"
        + "repositories: [default, {url: 'http://a', suites: [s]}]\n",
        web="extends: base.yaml\n"
        + "users: [{name: c}, {name: a, uid: 7, groups: [y]}]\n"
        + "files: [{path: /m, source: m.txt}]\n"
        + "repositories: [{url: 'http://a', suites: [t]}]\n",
    )
    Path("m.txt").write_text("other")
    blueprint = loaded()
    assert [user.name for user in blueprint.users] == ["a", "b", "c"]
    assert (blueprint.users[0].shell, blueprint.users[0].uid, blueprint.users[0].groups) == ("/bin/sh", 7, ("x", "y"))
    assert (blueprint.files[0].content, blueprint.files[0].mode) == ("other", "0600")  # one content replaces another
    assert len(blueprint.repositories.own) == 2  # such a repository has no identity


def test_keys_that_exclude_each_other_replace_each_other() -> None:
    digests = ["0" * 64, "1" * 64]
    write(
        base=HEAD + f"files: [{{path: /a, url: 'http://a/1', sha256: '{digests[0]}'}}, {{path: /b, content: x}}]\n",
        web="extends: base.yaml\n"
        + f"files: [{{path: /a, sha256: '{digests[1]}'}}, {{path: /b, url: 'http://b', sha256: '{digests[1]}'}}]\n",
    )
    first, second = loaded().files
    assert (first.url, first.sha256) == ("http://a/1", digests[1])
    assert (second.url, second.content) == ("http://b", None)
    write(web="extends: base.yaml\nfiles: [{path: /a, content: text}]\n")
    assert (loaded().files[0].url, loaded().files[0].content) == (None, "text")


def test_items_are_removed_by_their_identity() -> None:
    write(
        base=HEAD + "users: [{name: a}, {name: b}]\nfiles: [{path: /m, content: x}]\ngroups: [{name: g}]\n",
        web="extends: base.yaml\nusers: {remove: [a]}\nfiles: {remove: [/m]}\ngroups: {remove: [{name: g}]}\n",
    )
    blueprint = loaded()
    assert [user.name for user in blueprint.users] == ["b"]
    assert (blueprint.files, blueprint.groups) == ((), ())


def test_several_bases_and_a_diamond() -> None:
    write(
        root=HEAD + "hostname: root\nlocale: C.UTF-8\nscripts: [once]\n",
        left="extends: root.yaml\nhostname: left\n",
        right="extends: root.yaml\nkeyboard: cz\n",
        web="extends: [left.yaml, right.yaml]\n",
    )
    blueprint = loaded()
    assert blueprint.hostname == "left"  # the root does not come on top of it again with right.yaml
    assert blueprint.keyboard == "cz"
    assert blueprint.scripts == (Script("once"),)


def test_later_bases_are_on_top() -> None:
    write(a=HEAD + "hostname: a\n", b="hostname: b\n", web="extends: [a.yaml, b.yaml]\n")
    assert loaded().hostname == "b"
    write(web="extends: [b.yaml, a.yaml]\n")
    assert loaded().hostname == "a"


def test_a_base_through_a_symbolic_link_is_the_same() -> None:
    write(base=HEAD, web="extends: [base.yaml, link.yaml]\nextra: 1\n")
    Path("link.yaml").symlink_to("base.yaml")
    assert reported() == ["web.yaml:2:1: unknown key `extra`"]
    Path("base.yaml").write_text("extends: link.yaml\n")
    assert "a blueprint cannot extend itself" in reported()[0]


def test_local_files_are_relative_to_their_blueprint(files: Path) -> None:
    for name in ("parts", "parts/deep"):
        Path(name).mkdir()
    Path("parts/deep/page.html").write_text("deep")
    Path("page.html").write_text("mine")
    Path("parts/deep/x.yaml").write_text(HEAD + "files: [{path: /deep, source: page.html}]\n")
    Path("parts/y.yaml").write_text(
        "extends: deep/x.yaml\nprofiles: {p: {files: [{path: /p, source: deep/page.html}]}}\n"
    )
    write(web="extends: parts/y.yaml\nfiles: [{path: /mine, source: page.html}]\n")
    found = {file.path: file.content for file in loaded(profiles=["p"], settings=["files[/deep].mode='0600'"]).files}
    assert found == {"/deep": "deep", "/mine": "mine", "/p": "deep"}
    assert load.load(files / "web.yaml", DISTROS).files == loaded().files
    (files / "elsewhere").mkdir()
    (files / "elsewhere" / "link").symlink_to(files)
    assert load.load(files / "elsewhere/link/web.yaml", DISTROS).files == loaded().files


def test_keys_and_certificates_are_relative_to_their_blueprint() -> None:
    Path("parts").mkdir()
    armour = small_key.TEXT
    Path("parts/key.asc").write_text(armour)
    Path("parts/base.yaml").write_text(HEAD + "repositories: [{url: 'http://a', suites: [s], keys: [key.asc]}]\n")
    write(web="extends: parts/base.yaml\n")
    assert loaded().repositories.own[0].keys == (armour,)
    Path("parts/base.yaml").write_text(HEAD + "cacerts: [gone.pem]\n")
    assert "parts/gone.pem" in reported()[0]


def test_files_of_a_base_above_a_symbolic_link(files: Path) -> None:
    Path("real/inner").mkdir(parents=True)
    Path("real/page").write_text("x")
    Path("real/base.yaml").write_text(HEAD + "files: [{path: /a, source: page}]\n")
    Path("real/inner/web.yaml").write_text("extends: ../base.yaml\n")
    Path("other").mkdir()
    Path("other/link").symlink_to(files / "real/inner")
    assert load.load(Path("other/link/web.yaml"), DISTROS).files[0].content == "x"


def test_unset() -> None:
    write(
        base=HEAD
        + "hostname: a\nkernel: {append: a, package: b}\nusers: [{name: a, shell: /bin/sh}]\n"
        + "files: [{path: /etc/a.b, content: x, mode: '0600'}]\n",
        web="extends: base.yaml\nunset: [hostname, kernel.append, users.a.shell, 'files[/etc/a.b].mode']\n",
    )
    blueprint = loaded()
    assert blueprint.hostname is None
    assert (blueprint.kernel.append, blueprint.kernel.package) == ("", "b")
    assert blueprint.users[0].shell is None
    assert blueprint.files[0].mode == "0644"
    write(web="extends: base.yaml\nunset: [kernel]\nkernel: {append: only}\n")
    assert (loaded().kernel.append, loaded().kernel.package) == ("only", None)


def test_profiles() -> None:
    write(
        base=HEAD + "packages: [a]\nprofiles: {dev: {packages: [gdb], hostname: base}, ci: {hostname: ci}}\n",
        web="extends: base.yaml\npackages: [b]\nprofiles: {dev: {hostname: mine, packages: {remove: [a]}}}\n",
    )
    assert loaded().packages == ("a", "b")
    assert loaded(profiles=["dev"]).packages == ("b", "gdb")
    assert loaded(profiles=["dev"]).hostname == "mine"
    assert loaded(profiles=["dev", "ci"]).hostname == "ci"
    assert loaded(profiles=["ci", "dev"]).hostname == "mine"
    assert loaded(profiles=["dev"], settings=["hostname=set"]).hostname == "set"


def test_a_profile_that_is_not_selected_may_use_variables() -> None:
    text = HEAD + 'vars: {stage: dev}\nprofiles: {a: {name: "${stage}-web", hostname: "${stage}"}}\n'
    write(web=text)
    assert loaded().name == "web"
    assert loaded(profiles=["a"]).hostname == "dev"


def test_an_unknown_profile_lists_the_known_ones() -> None:
    write(web=HEAD + "profiles: {dev: {}, ci: {}}\n")
    with pytest.raises(ComposeError) as caught:
        loaded(profiles=["deb"])
    assert caught.value.hint == "did you mean `dev`? known profiles: ci, dev"


def test_variables() -> None:
    write(
        base=HEAD + "vars: {domain: example.org, uid: 1000, text: 1.1.0}\nhostname: www.${domain}\n"
        "users: [{name: a, uid: '${uid}', description: 'number ${uid}'}]\n",
        web="extends: base.yaml\nvars: {domain: web.test}\nprofiles: {dev: {vars: {domain: dev.test}}}\n"
        "description: $${domain} and $domain and ${text}\nscripts: ['echo $${HOME}']\n",
    )
    blueprint = loaded()
    assert blueprint.hostname == "www.web.test"
    assert (blueprint.users[0].uid, blueprint.users[0].description) == (1000, "number 1000")
    assert blueprint.description == "${domain} and $domain and 1.1.0"
    assert blueprint.scripts == (Script("echo ${HOME}"),)
    assert loaded(profiles=["dev"]).hostname == "www.dev.test"
    assert loaded(profiles=["dev"], variables=["domain=opt.test"]).hostname == "www.opt.test"
    assert loaded(settings=["vars.domain=set.test"]).hostname == "www.set.test"
    assert loaded(settings=["hostname='x.${domain}'"]).hostname == "x.web.test"
    assert loaded(variables=["uid=7"]).users[0].uid == 7


def test_a_variable_is_inserted_verbatim() -> None:
    write(web=HEAD + "vars: {a: '$${b}', b: wrong}\ndescription: ${a}\n")
    assert loaded().description == "${b}"
    write(web=HEAD + "vars: {a: x}\ndescription: ${a}\n")
    assert loaded(variables=["a=${a}"]).description == "${a}"
    assert loaded(variables=["a=1.10"]).description == "1.10"  # text, whatever it looks like


def test_a_variable_of_the_command_line_need_not_be_declared() -> None:
    write(web=HEAD + "description: ${a}\n")
    assert loaded(variables=["a=b"]).description == "b"
    assert reported() == ["web.yaml:3:14: the variable `a` is not defined"]


def test_errors_are_reported_once_and_in_the_file_that_they_are_in() -> None:
    write(
        base=HEAD + "users: [{name: a, shell: x}]\ntimezon: UTC\npackages: [1]\n",
        web="extends: base.yaml\nusers: [{name: a, groups: [b%]}]\npackages: {append: [-y]}\n",
    )
    assert reported() == [
        'web.yaml:2:28: an item of `groups`: "b%" is not the name of a user or group '
        "(up to 32 letters, digits, `_`, `.` and `-`, not starting with `-`, not digits alone)",
        'web.yaml:3:21: an item of `packages`: "-y" is not the name of a package',
        'base.yaml:3:26: `shell`: "x" must be an absolute path without `..` and without a trailing `/`',
        "base.yaml:4:1: unknown key `timezon`",
        "base.yaml:5:12: an item of `packages` must be text, not a number",
    ]


def test_overridden_values_are_checked_too() -> None:
    write(base=HEAD + "hostname: a_b\n", web="extends: base.yaml\nhostname: ab\n")
    assert [line.partition(" ")[0] for line in reported()] == ["base.yaml:3:11:"]


def test_a_part_need_not_be_a_complete_blueprint() -> None:
    write(
        base="files: [{path: /m, mode: '0600'}]\n",
        web=HEAD + "extends: base.yaml\nfiles: [{path: /m, content: x}]\n",
    )
    assert (loaded().files[0].mode, loaded().files[0].content) == ("0600", "x")


def test_the_number_of_files_is_bounded() -> None:
    for number in range(120):
        write(**{f"b{number}": f"extends: b{number + 1}.yaml\n"})
    write(web=HEAD + "extends: b0.yaml\n")
    assert reported() == ["b98.yaml:1:10: the blueprint is merged from more than 100 files"]


def test_every_blueprint_has_variables_of_what_it_is() -> None:
    profiles = "profiles: {dev: {packages: [vim]}, big: {packages: [emacs]}}\n"
    write(web="name: web-${profile}\ndistro: debian-12\ndescription: ${name} ${distro} ${arch} ${profile}\n" + profiles)
    blueprint = loaded(profiles=["dev"])
    assert (blueprint.name, blueprint.description) == ("web-dev", "web-dev debian-12 x86_64 dev")
    assert loaded(profiles=["dev", "big"]).description == "web-dev-big debian-12 x86_64 dev-big"
    write(web=HEAD + "arch: aarch64\ndescription: '${arch}${profile}'\n")
    assert loaded().description == "aarch64"  # without a profile, its variable is empty


def test_own_variables_come_before_built_in_ones() -> None:
    write(web=HEAD + "vars: {name: mine}\ndescription: ${name} ${profile}\n")
    assert loaded(variables=["profile=given"]).description == "mine given"


def test_a_built_in_variable_cannot_be_made_of_itself() -> None:
    write(web="name: ${name}\ndistro: ${name}\n")
    name, distro = reported()
    assert name.startswith('web.yaml:1:7: `name`: "${name}" must be')
    assert distro == "web.yaml:2:9: unknown distro ${name}"


def test_network_interfaces_are_identified_by_their_name() -> None:
    interfaces = "[{name: a, addresses: [192.0.2.1/24]}, {mac: '52:54:00:00:00:01'}, {name: b}]"
    write(
        base=HEAD + f"network: {{interfaces: {interfaces}}}\n",
        web="extends: base.yaml\n"
        + "network: {interfaces: {remove: [b], append: [{name: a, mtu: 9000}, {mac: '52:54:00:00:00:02'}]}}\n",
    )
    network = loaded().network
    assert network
    assert [(item.name, item.mac, item.mtu) for item in network.interfaces] == [
        ("a", None, 9000),
        (None, "52:54:00:00:00:01", None),
        (None, "52:54:00:00:00:02", None),
    ]
    assert network.interfaces[0].addresses == ("192.0.2.1/24",)


def test_items_without_an_identity_are_shown_as_yaml() -> None:
    write(
        base=HEAD + "disk: {partitions: [{mount: /, size: 4 GiB}, {mount: /srv}]}\n",
        web="extends: base.yaml\ndisk: {partitions: {remove: [{mount: /var}]}}\n",
    )
    with pytest.raises(InputError) as caught:
        loaded()
    assert '{mount: "/srv"}' in caught.value.hint
    assert "{'mount'" not in caught.value.hint


@pytest.mark.parametrize(("name", "option"), [("arch", "--set arch="), ("profile", "--profile")])
def test_a_built_in_variable_is_changed_where_it_comes_from(name: str, option: str) -> None:
    write(web=HEAD)
    with pytest.raises(InputError) as caught:
        loaded(variables=[f"{name}=a"])
    assert option in caught.value.hint
