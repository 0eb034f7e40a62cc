"""Which preinst scripts do nothing on a first installation.

A package may be unpacked without running its preinst only when that is certain. Certain is what debhelper writes:
dpkg-maintscript-helper acts only when an old version is named, which `preinst install` without a second argument
does not, and dh_installinit's block asks for `-n "$2"`, the same old version. Every other line makes dpkg do it.
"""

import re

# Lines that may stand anywhere.
IDLE_LINE = re.compile(
    r"""
      \s* (?: \#.* )?                                                   # empty, comment, #!/bin/sh
    | set \s+ -\w+
    | exit \s+ 0
    | dpkg-maintscript-helper \s+ (?: rm_conffile | mv_conffile | symlink_to_dir | dir_to_symlink )
      \s+ [^;&|`$<>]* -- \s+ "\$@"
    """,
    re.VERBOSE,
)

IDLE_BLOCK = re.compile(
    r"""^if \[ "\$1" = "install" \] && \[ -n "\$2" \] && \[ -e "[^"`$]*" \] ?; then\n[^\n;]*\nfi$""",
    re.MULTILINE,
)


def idle(script: str) -> bool:
    """Whether running the preinst with the single argument `install` would change nothing."""
    if not re.match(r"#! ?/bin/(sh|bash|dash)\b", script):
        return False
    return all(IDLE_LINE.fullmatch(line) for line in IDLE_BLOCK.sub("", script).splitlines())
