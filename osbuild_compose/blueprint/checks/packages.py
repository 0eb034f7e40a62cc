"""Packages, modules, repositories with their keys, and the build environment's packages."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.model import HOST
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.blueprint.values import debconf
from osbuild_compose.blueprint.values.package_file import is_file
from osbuild_compose.distro import keys
from osbuild_compose.distro.repository import ARMOUR, is_flat, is_local, local_path
from osbuild_compose.document.node import Node, Trail, find, plain
from osbuild_compose.problem import InvalidValueError, Problem, Severity, within


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of the keys that decide what is installed, and from where. Reads the files of signing keys."""
    yield from repeated(data, "enabled_modules", ANY, "name")
    yield from _names(data)
    yield from repeated(data, "repositories", ANY, "id")
    yield from _signing_keys(data, local_files)
    yield from _repositories(data, local_files)
    yield from _addresses(data)
    yield from _package_files(data, local_files)
    yield from _answers(data)
    if any(name == HOST for _, name in texts(data, "build_environment", "from")):
        for trail, _ in texts(data, "build_environment", "packages", ANY):
            yield Problem(
                trail,
                "`packages`: with `from: host`, this machine's programs are used and nothing is installed",
                "install it on this machine, or choose another `from`",
            )


def _names(data: Any) -> Iterator[Problem]:
    for key in ("packages", "exclude"):
        for trail, name in texts(data, key, ANY):
            # YAML appends a line that is indented further to the text above it, dash and all.
            if " - " in name and not is_file(name):
                hint = "align the dashes of a list in one column"
                yield Problem(trail, f'an item of `{key}`: "{name}" is not the name of one package', hint)
    wanted = {name for _, name in texts(data, "packages", ANY)}
    for trail, name in texts(data, "exclude", ANY):
        if name in wanted:
            yield Problem(trail, f"{name} is in both `packages` and `exclude`", "remove one of them")


def _addresses(data: Any) -> Iterator[Problem]:
    places = [("packages", ANY, "url"), ("repositories", ANY, "keys", ANY, "url")]
    places += [("repositories", ANY, key) for key in ("url", "baseurl", "mirrorlist", "metalink")]
    for place in places:
        for trail, address in texts(data, *place):
            if is_address(address) and not is_local(address) and not _names_a_machine(address):
                brief = f"`{trail[-1]}`: {address} names no machine that there can be"
                yield Problem(trail, brief, "an address is https://MACHINE/PATH, or https://MACHINE:PORT/PATH")


def _package_files(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    named = [(trail, name) for trail, name in texts(data, "packages", ANY) if is_file(name)]
    for trail, name in [*named, *texts(data, "packages", ANY, "source")]:
        try:
            local_files.large(name)
        except InvalidValueError as error:
            problem = error.problem.within(*trail)
            at_address = (
                "a package that is downloaded is a mapping: {url: ADDRESS, sha256: DIGEST}; sha256sum prints it"
            )
            yield replace(problem, hint=at_address) if is_address(name) else problem


def _answers(data: Any) -> Iterator[Problem]:
    if not isinstance(data, dict) or "debconf" not in data:
        return
    yield from within(("debconf",), debconf.problems(data["debconf"]))
    for trail, answer in debconf.located(data["debconf"]):
        if answer.is_password and answer.value:
            yield Problem(
                ("debconf", *trail),
                f"the password of {answer.question} can be read in the pipeline and in the store",
                "it is removed from the image; better none is known here: set it in `first_boot`",
                Severity.WARNING,
            )


def misread_answers(tree: Node) -> Iterator[Problem]:
    """Answers that YAML takes for numbers, and that are other texts than these: 0755 is 755, 0x1F is 31."""
    answers = tree.child("debconf")
    for trail, _ in debconf.located(plain(answers)) if answers else ():
        at: Trail = ("debconf", *trail)
        node = find(tree, at)[0]
        if (value := node.child("value")) is not None:
            at, node = (*at, "value"), value
        is_number = isinstance(node.value, int) and not isinstance(node.value, bool)
        if is_number and node.written not in ("", str(node.value)):
            brief = f"{node.written} is read as the number {node.value}"
            yield Problem(at, brief, f'write the text in quotes: "{node.written}"')


def _repositories(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    for trail, item in values(data, "repositories", ANY):
        if not isinstance(item, dict):
            continue
        yield from within(trail, _suites(item))
        if item.get("check_signatures") is False and item.get("keys"):
            yield Problem(
                (*trail, "keys"), "`keys` of a repository whose signatures are not checked", "remove one of them"
            )
        for key in ("url", "baseurl"):
            address = item.get(key)
            if isinstance(address, str) and is_local(address):
                yield from within(trail, _directory(item, key, address, local_files))


def _names_a_machine(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # for brackets without an IPv6 address in them, and for the port
        return False


def _suites(item: Mapping[str, Any]) -> Iterator[Problem]:
    suites = item.get("suites")
    if not isinstance(suites, list) or not suites:
        return
    if not is_flat(suites):
        if item.get("components") == []:
            brief = "only a flat repository has no components"
            yield Problem(("components",), brief, "name some, or the directory of its indexes: suites: [./]")
        return
    for index, suite in enumerate(suites):
        if isinstance(suite, str) and not suite.endswith("/"):
            brief = f"{suite} is a suite, and the others are directories of a flat repository, with / at their end"
            yield Problem(("suites", index), brief, "make two repositories of them")
    if item.get("components"):
        yield Problem(("components",), "a flat repository has no components", "remove `components`")


def _directory(item: Mapping[str, Any], key: str, address: str, local_files: LocalFiles) -> Iterator[Problem]:
    try:
        local_files.directory(local_path(address))
    except InvalidValueError as error:
        yield error.problem.within(key)
    except ValueError as error:
        yield Problem((key,), str(error), "for another machine's, use http://")
    if item.get("use", "build") != "build":
        brief = f"{address} is a directory of this machine, which the image does not have"
        yield Problem(("use",), brief, "remove `use`, or write use: build")


def _signing_keys(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    for trail, key in texts(data, "repositories", ANY, "keys", ANY):
        if ARMOUR in key:
            yield from _armoured(trail, "`keys`: this", key)
            continue
        try:
            text = local_files.read(key).decode(errors="replace")
        except InvalidValueError as error:
            hint = "a key is armoured text, or a file relative to the blueprint's directory"
            if is_address(key):
                hint = f'write {{url: "{key}", fingerprint: FINGERPRINT}}; gpg --show-keys FILE prints the fingerprint'
            yield Problem(trail, error.problem.brief, hint)
        else:
            yield from _armoured(trail, key, text)


def _armoured(trail: Trail, name: str, text: str) -> Iterator[Problem]:
    hint = "export one with: gpg --armor --export KEY"
    if ARMOUR not in text:
        yield Problem(trail, f"{name} is not an armoured public key", hint)
        return
    if wrong := keys.problem(text):
        yield Problem(trail, f"{name} is not a public key: {wrong}", hint)
