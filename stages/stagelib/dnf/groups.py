"""Groups by their names, as dnf 4 takes them, for dnf5, which takes only ids, and those only in their own case."""

import re
from collections.abc import Sequence
from dataclasses import replace

from stagelib.dnf import command, messages
from stagelib.dnf.home import Home
from stagelib.dnf.options import Options

LISTS = (("group", "list", "--hidden"), ("environment", "list"))
# "core                 Core                      no"
ROW = re.compile(r"^(\S+)\s+(.*?)\s+(?:yes|no)\s*$")


def by_id(dnf: command.Dnf, start: Sequence[str], home: Home, options: Options) -> Options:
    """The options with ids in place of the names of groups. start: dnf's command line up to the operation.

    Raises StageError for a group that no repository has.
    """
    is_group = options.operation == "groupinstall"
    if dnf.version != 5 or not (is_group or options.groups):
        return options
    ids: dict[str, str] = {}
    for words in LISTS:
        done = command.run([*start, *words], home, quiet=True)
        messages.check_download(done, options)
        rows = [match for line in done.lines if (match := ROW.match(line))]
        ids = {**{row[2].lower(): row[1] for row in rows}, **{row[1].lower(): row[1] for row in rows}, **ids}
    asked = options.packages if is_group else options.groups
    if missing := [name for name in asked if name.lower() not in ids]:
        raise messages.no_group(missing, options)
    if is_group:
        return replace(options, packages=tuple(ids[name.lower()] for name in options.packages))
    packages = (f"@{ids[name[1:].lower()]}" if name.startswith("@") else name for name in options.packages)
    return replace(options, packages=tuple(packages))
