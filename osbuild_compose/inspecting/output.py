"""A report as text for people, and as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from osbuild_compose.inspecting.analysis.system import Drivers, Kernel
from osbuild_compose.inspecting.report import Report, System

_WIDEST = 500  # characters of a value
_PER_LINE = 100
_NODES = 50  # device nodes
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def shown(text: str) -> str:
    """The text, safe for a terminal: unprintable characters are escaped, and it is cut off at a limit."""
    cut = text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


def size_text(size: int | None) -> str:
    """A number of bytes with a binary unit."""
    if size is None:
        return "?"
    if size < 1024:
        return f"{size} B"
    power = min((size.bit_length() - 1) // 10, len(_UNITS))
    return f"{size / 1024**power:.1f} {_UNITS[power - 1]}"


def as_text(report: Report) -> str:
    """The report without the names of packages and the documents that the build embedded."""
    return "\n".join("".join(f"{line}\n" for line in part) for part in _parts(report) if part)


def _parts(report: Report) -> Iterator[Sequence[str]]:
    image = report.image
    sizes = [f"{size_text(image.size)} as a file"] if image.size is not None else []
    sizes += [f"{size_text(image.virtual_size)} as a disk"] if image.virtual_size is not None else []
    yield _fields([("image", image.path), ("format", ", ".join([image.format, *sizes]))])
    yield _container(report)
    yield _partitions(report)
    yield _file_systems(report)
    yield _boot(report)
    if report.system:
        yield from _system(report.system)
    yield _provenance(report)
    yield [f"note: {shown(one.message)}" + f" ({shown(one.hint)})" * bool(one.hint) for one in report.warnings]


def _fields(pairs: Sequence[tuple[str, str]]) -> list[str]:
    return [f"{name + ':':16}{shown(value)}" for name, value in pairs if value]


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A title and rows in columns; nothing if there are no rows."""
    if not rows:
        return []
    cells = [list(head), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [f"{title}:", *(f"  {line}" for line in lines)]


def _container(report: Report) -> list[str]:
    config = report.container
    if config is None:
        return []
    return _fields(
        [
            ("architecture", config.architecture or ""),
            ("entrypoint", " ".join(config.entrypoint)),
            ("command", " ".join(config.cmd)),
            ("user", config.user or ""),
            ("ports", " ".join(config.exposed_ports)),
            ("environment", " ".join(config.env)),
            ("labels", " ".join(f"{name}={value}" for name, value in config.labels.items())),
        ]
    )


def _partitions(report: Report) -> list[str]:
    table = report.partition_table
    if table is None:
        return []
    rows = [
        (
            str(one.number),
            size_text(one.start),
            size_text(one.size),
            one.type_name or one.type,
            one.label or "",
            one.uuid,
        )
        for one in table.partitions
    ]
    title = f"partitions ({table.type} {table.uuid}, sectors of {table.sector_size} bytes)"
    return _table(title, ("", "start", "size", "type", "label", "uuid"), rows)


def _file_systems(report: Report) -> list[str]:
    rows = [
        (
            one.volume or (f"partition {one.partition}" if one.partition else "disk"),
            one.type,
            one.mount_point or "",
            size_text(one.size),
            size_text(one.used),
            one.label or "",
            one.uuid or "",
        )
        for one in report.file_systems
    ]
    return _table("file systems", ("", "type", "at", "size", "used", "label", "uuid"), rows)


def _boot(report: Report) -> list[str]:
    loaders = [
        (
            one.type,
            one.firmware,
            one.version or "",
            "" if one.signed is None else "signed" if one.signed else "not signed",
            one.path or "",
        )
        for one in report.boot.loaders
    ]
    lines = _table("boot loaders", ("", "firmware", "version", "", "path"), loaders)
    for entry in report.boot.entries:
        lines += [
            f"boot entry: {shown(entry.title)}",
            f"  {shown(' '.join(filter(None, (entry.kernel, entry.options))))}",
        ]
    return lines


def _kernel(kernel: Kernel) -> str:
    what = {Drivers.HARDWARE: " (drivers for any hardware)", Drivers.VIRTUAL: " (drivers for virtual machines only)"}
    return kernel.version + (what[kernel.drivers] if kernel.drivers else "")


def _system(system: System) -> Iterator[list[str]]:
    release = system.os_release
    installed = system.packages
    yield _fields(
        [
            ("system", release.get("PRETTY_NAME") or release.get("NAME") or release.get("ID") or "unknown"),
            ("hostname", system.hostname or ""),
            ("kernels", ", ".join(map(_kernel, system.kernels))),
            ("packages", f"{len(installed.installed)} ({installed.manager})" if installed else ""),
        ]
    )
    rows = [
        (
            user.name,
            str(user.uid),
            " ".join(user.groups),
            user.shell,
            {"set": "set", "locked": "locked", "empty": "empty!"}.get(user.password or "", "?"),
            str(user.ssh_keys),
        )
        for user in system.users
    ]
    yield _table("users", ("", "uid", "groups", "shell", "password", "ssh keys"), rows)
    services = system.services
    yield _fields([("default target", services.default_target or "")])
    yield _wrapped("enabled", [service.unit for service in services.enabled])
    yield _wrapped("masked", services.masked)
    largest = [(size_text(one.size), str(one.files), one.path) for one in system.largest_directories]
    yield _table("largest directories", ("size", "files", ""), largest)
    nodes = system.device_nodes
    more = [f"and {len(nodes) - _NODES} more"] if len(nodes) > _NODES else []
    yield _wrapped("device nodes", [*nodes[:_NODES], *more])


def _wrapped(title: str, words: Sequence[str]) -> list[str]:
    """A title and words, wrapped to lines of limited length."""
    if not words:
        return []
    lines = [""]
    for word in map(shown, words):
        if lines[-1] and len(lines[-1]) + len(word) > _PER_LINE:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return [f"{title}:", *(f"  {line}" for line in lines)]


def _provenance(report: Report) -> list[str]:
    if report.provenance is None:
        return []
    build = report.provenance.build or {}
    facts = [str(build[key]) for key in ("name", "version", "distro", "arch") if build.get(key)]
    return _fields(
        [
            ("made of", " ".join(facts) or "an embedded blueprint"),
            ("tree id", str(build.get("tree_id") or "")),
            ("reproducible", "no: a script had the network" if build.get("reproducible") is False else ""),
            ("lock", "embedded" if report.provenance.lock is not None else ""),
        ]
    )


def as_json(report: Report) -> str:
    """The report as schemas/inspect.schema.json describes it, in ASCII.

    Other characters are escaped, bytes of names that are not UTF-8 as \\udcNN.
    """
    document = asdict(report)
    document["notes"] = document.pop("warnings")  # the key was published under this name
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
