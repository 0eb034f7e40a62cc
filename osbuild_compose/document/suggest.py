"""Suggestions for misspelt words, and for the words of other tools."""

import difflib
from collections.abc import Iterable

MAX_WORD = 200  # characters of a word that is compared with others, which takes time with the square of its length
MAX_LISTED = 12  # choices that a hint names

# Words of other tools, and ours for the same thing.
_KNOWN_AS = {
    "architecture": "arch",
    "distribution": "distro",
    "release": "distro",
    "modules": "packages",
    "keymap": "keyboard",
    "lang": "locale",
    "language": "locale",
    "ntpservers": "timeservers",
    "ntp": "timeservers",
    "repos": "repositories",
    "install": "packages",
    "image_type": "formats",
    "image_types": "formats",
    "runcmd": "scripts",
    "commands": "scripts",
    "ca_certs": "cacerts",
    "links": "symlinks",
    "output": "formats",
    "key": "ssh_keys",
    "sshkey": "ssh_keys",
    "authorized_keys": "ssh_keys",
    "data": "content",
    "contents": "content",
    "user": "owner",
    "permissions": "mode",
    "to": "target",
    "dest": "path",
    "destination": "path",
    "src": "source",
    "cmdline": "append",
    "baseurl": "url",
    "url": "baseurl",
    "gpgcheck": "check_signatures",
    "gpgkey": "keys",
    "signed_by": "keys",
    "trusted": "check_signatures",
    "allow_insecure": "check_signatures",
    "pin": "priority",
    "pin_priority": "priority",
    "preseed": "debconf",
    "debconf_selections": "debconf",
    "install_recommends": "recommends",
    "install_weak_deps": "recommends",
    "weak_deps": "recommends",
    "target": "default_target",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "off": "disabled",
    "packages_exclude": "exclude",
    "exclude_packages": "exclude",
    "remove_packages": "exclude",
    "write_files": "files",
    "overlay": "files",
    "dirs": "directories",
    "bootcmd": "first_boot",
    "firstboot": "first_boot",
    "first_boot_scripts": "first_boot",
    "postinst": "scripts",
    "post": "scripts",
    "provision": "scripts",
    "host_name": "hostname",
    "apt_sources": "repositories",
    "yum_repos": "repositories",
    "systemd": "services",
    "gecos": "description",
    "comment": "description",
    "primary_group": "gid",
    "passwd": "password",
    "hashed_passwd": "password",
    "plain_text_passwd": "password",
    "lock_passwd": "password",
    "ssh_authorized_keys": "ssh_keys",
    "ssh_pwauth": "password_authentication",
    "homedir": "home",
    "mountpoint": "mount",
    "mount_point": "mount",
    "where": "mount",
    "fs": "file_system",
    "fstype": "file_system",
    "fs_type": "file_system",
    "filesystem": "file_system",
    "minsize": "minimum",
    "min_size": "minimum",
    "size_min": "minimum",
    "part_type": "type",
    "part_label": "name",
    "mount_options": "options",
    "vg": "volume_group",
    "lvs": "logical_volumes",
    "volumes": "logical_volumes",
}

_MOUNTS = "write: disk: {partitions: [{mount: /srv, size: 10 GiB}]}"
_VOLUMES = (
    "write: disk: {partitions: [{volume_group: NAME, logical_volumes: [{name: data, mount: /srv, size: 10 GiB}]}]}"
)
_WIFI = (
    "a passphrase of Wi-Fi would be in every copy of the image: connect on the machine, or write the file in `files`"
)
# Keys of other tools' formats, and the hint for them.
FOREIGN = {
    "customizations": "this is osbuild's format: `compose import FILE` converts such a blueprint",
    **dict.fromkeys(("mount", "mounts", "fs", "filesystem", "filesystems", "file_systems", "fstab"), _MOUNTS),
    **dict.fromkeys(("volumes", "lvm", "logical_volumes", "volume_group"), _VOLUMES),
    **dict.fromkeys(("image_size", "disk_size", "rootfs_size", "size"), "write: disk: {size: 10 GiB}"),
    **dict.fromkeys(("wifi", "wifis", "ssid", "access_points", "wireless"), _WIFI),
    "swap": "write: disk: {partitions: [{type: swap, size: 2 GiB}]}",
    **dict.fromkeys(
        ("swapfile", "swap_file", "swap_files"), "write: disk: {swap_files: [{path: /swapfile, size: 2 GiB}]}"
    ),
}


def synonym(word: str, choices: Iterable[str]) -> str | None:
    """The choice for which other tools use this word, if there is one."""
    other = _KNOWN_AS.get(word.lower())
    return other if other in set(choices) else None


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, or the one for which other tools use it; None when nothing comes close."""
    known = list(choices)
    if other := synonym(word, known):
        return other
    if len(word) > MAX_WORD:
        return None
    normal = {choice.lower().replace("-", "_"): choice for choice in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(normal), n=1, cutoff=0.6)
    return normal[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str], otherwise: str | None = None) -> str:
    """A hint that names the nearest choice; if none is near, `otherwise`, or all of them if they are few."""
    known = sorted(choices)
    if near := nearest(word, known):
        return f"did you mean `{near}`?"
    if otherwise is not None:
        return otherwise
    return f"known here: {', '.join(known)}" if 0 < len(known) <= MAX_LISTED else ""
