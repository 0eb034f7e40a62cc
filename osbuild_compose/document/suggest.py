"""The nearest valid word to one that is not."""

import difflib
from collections.abc import Iterable

MAX_LISTED = 12  # choices that a hint names

# What other tools call the same thing.
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
    "target": "default_target",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "off": "disabled",
}

# Keys of other languages altogether, and what to do with what is written in these.
FOREIGN = {
    "customizations": "that is osbuild's language: `compose import FILE` turns a blueprint in it into one of ours",
}


def called_so(word: str, choices: Iterable[str]) -> str | None:
    """The choice that other tools call so, if there is one."""
    other = _KNOWN_AS.get(word.lower())
    return other if other in set(choices) else None


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, or the one other tools call so; None when nothing comes close."""
    known = list(choices)
    if other := called_so(word, known):
        return other
    normal = {choice.lower().replace("-", "_"): choice for choice in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(normal), n=1, cutoff=0.6)
    return normal[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint that names the nearest choice, or all of them when none is near and they are few."""
    known = sorted(choices)
    if near := nearest(word, known):
        return f"did you mean `{near}`?"
    return f"known here: {', '.join(known)}" if 0 < len(known) <= MAX_LISTED else ""
