"""What a blueprint asks of a system that starts from a / that dm-verity protects: nobody can write to that."""

from collections.abc import Iterator

from osbuild_compose.disk.checks import items
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

VOLATILE = "systemd.volatile="


def problems(data: Item, disk: Item) -> Iterator[Problem]:
    """All of the blueprint `data` that writes there. Nothing where it is not `disk` that says how the system starts."""
    partitions = items.mappings(disk.get("partitions", [])) or ()
    trail = next((trail for trail, item in items.holding_files(partitions) if _is_protected(item)), None)
    loader, uki = disk.get("bootloader", "grub"), disk.get("uki") is True
    if trail is None or loader == "grub" or (loader == "none" and not uki):
        return
    kernel, users = data.get("kernel"), data.get("users")
    arguments = str(kernel.get("append", "")).split() if isinstance(kernel, dict) else []
    volatile = [word.removeprefix(VOLATILE) for word in arguments if word.startswith(VOLATILE)]
    has_var = any("/var" in items.points(item) for item in partitions)
    for word in volatile:
        if word != "state":
            what = f"with `verity` of / services do not start on what {VOLATILE}{word} makes of it"
            yield Problem(("kernel", "append"), what, f"take {VOLATILE}state, which keeps /var in memory")
    if not has_var and not volatile:
        what = "no service of the system can run: with `verity` of / nobody can write to /var"
        hint = f"add a partition, {{mount: /var}}, or `kernel: {{append: {VOLATILE}state}}` for one in memory"
        yield Problem(("disk", *trail, "verity"), what, hint)
    if data.get("first_boot") and (volatile or not has_var):
        what = "with `verity` of / and no partition for /var nothing remembers that the first boot was"
        yield Problem(
            ("first_boot",), what, "add a partition, {mount: /var}, or run the script by a unit at every boot"
        )
    if isinstance(data.get("cloud_init"), dict):
        what = "cloud-init writes to /etc, and with `verity` of / nobody can"
        yield Problem(("cloud_init",), what, "remove the key")
    for index, user in enumerate(users if isinstance(users, list) else ()):
        if isinstance(user, dict) and user.get("force_password_reset") is True:
            what = "with `verity` of / nobody can change a password"
            yield Problem(("users", index, "force_password_reset"), what, "leave it out")


def _is_protected(item: Item) -> bool:
    return item.get("mount") == "/" and item.get("verity") is True
