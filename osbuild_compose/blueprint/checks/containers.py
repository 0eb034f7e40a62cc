"""Container images: archives and addresses in registries."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles, is_address
from osbuild_compose.blueprint.select import ANY, repeated, texts
from osbuild_compose.blueprint.values import container_reference
from osbuild_compose.problem import InvalidValueError, Problem, within


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of `containers`. Reads the archives."""
    yield from repeated(data, "containers", ANY, "name")
    for trail, name in texts(data, "containers", ANY, "source"):
        try:
            local_files.large(name)
        except InvalidValueError as error:
            problem = error.problem.within(*trail)
            if is_address(name) and not container_reference.is_address(name):
                problem = replace(problem, hint="write `url` instead of `source`, and `sha256`")
            elif container_reference.is_name(name):
                problem = replace(problem, hint=_in_registry(name.removeprefix("docker://")))
            yield problem
    for trail, url in texts(data, "containers", ANY, "url"):
        item = data["containers"][trail[1]]
        check = _registry_image if container_reference.is_address(url) else _archive
        yield from within(trail[:-1], check(item, url))


def _in_registry(name: str) -> str:
    if "@sha256:" in name:
        return f"for an image in a registry, write: url: docker://{name}"
    digest = f"skopeo inspect --format '{{{{.Digest}}}}' docker://{name}"
    return f"for an image in a registry, write: url: docker://{name}@DIGEST, with the output of: {digest}"


def _archive(item: Mapping[str, Any], _url: str) -> Iterator[Problem]:
    if "sha256" not in item:
        yield Problem(("url",), "an archive that is downloaded needs its `sha256`", "sha256sum prints it")
    if "tls_verify" in item:
        yield Problem(("tls_verify",), "`tls_verify` is for registries only")


def _registry_image(item: Mapping[str, Any], url: str) -> Iterator[Problem]:
    try:
        address = container_reference.parse(url)
    except ValueError:
        return  # the schema reports it
    if "sha256" in item:
        brief = "an image in a registry has its digest in `url`"
        yield Problem(("sha256",), brief, "write docker://NAME@sha256:DIGEST and remove `sha256`")
    elif not address.sha256:
        insecure = "--tls-verify=false " if item.get("tls_verify") is False else ""
        command = f"skopeo inspect {insecure}--format '{{{{.Digest}}}}' {url}"
        brief = f"{url} may be another image tomorrow: add its digest"
        yield Problem(("url",), brief, f"append @ and the output of: {command}")
