"""Keys that none of the blueprint's formats can honour, because all are of containers."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint.formats import Contents, Output
from osbuild_compose.problem import Problem

# Keys that mean nothing in a container, and why.
OF_MACHINES = {
    "kernel": "a container runs on another system's kernel",
    "initramfs": "a container runs on another system's kernel",
    "modprobe": "a container runs on another system's kernel",
    "fips": "a container runs on another system's kernel, whose mode that is",
    "disk": "a container has no disk of its own",
    "udev_rules": "a container's devices are given by its host",
    "firewall": "a container gets its network from what runs it",
    "network": "a container gets its network from what runs it",
    "timeservers": "a container has its host's clock",
    "keyboard": "a container has no console of its own",
    "selinux": "a container is under its host's policy",
}
# Keys that name what an init starts.
STARTED = ("services", "units", "timers", "first_boot", "cloud_init")
UNSET: tuple[Any, ...] = (None, False, "disabled", {}, [])
CHECKED_WITH_DISK = ("size", "free", "sector_size")  # keys of `disk` that are only for disks


def problems(data: Mapping[str, Any], outputs: Collection[Output]) -> Iterator[Problem]:
    """The keys of machines in a blueprint whose outputs are all of containers."""
    if not outputs or any(output.contents is Contents.MACHINE for output in outputs):
        return
    name = next(iter(outputs)).format
    hint = f"remove it, add a format of machines, such as qcow2, or write {{format: {name}, contents: machine}}"
    for key, why in OF_MACHINES.items():
        value = data.get(key)
        if key == "disk" and isinstance(value, dict) and any(one in value for one in CHECKED_WITH_DISK):
            continue  # these keys are reported themselves
        if value not in UNSET:
            yield Problem((key,), f"`{key}`: no format in `formats` is of a machine: {why}", hint, at_key=True)
    if all(output.runs_one_program for output in outputs):
        for key in STARTED:
            if data.get(key) not in UNSET:
                brief = f"`{key}`: nothing starts them: each format of containers says which program it runs"
                yield Problem((key,), brief, "remove the key, or `cmd` and `entrypoint`", at_key=True)
