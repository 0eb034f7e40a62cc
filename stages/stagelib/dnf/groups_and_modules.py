"""Groups by name and streams of modules, resolved before packages are looked for.

dnf5 accepts only case-sensitive ids of groups, so dnf 4's names of groups are mapped to them. Modules:
https://docs.fedoraproject.org/en-US/modularity/.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from stagelib import tree_paths
from stagelib.dnf import command, failures, sandbox, scaffolding
from stagelib.dnf.config import PrivateHome
from stagelib.dnf.options import Options
from stagelib.dnf.package_cache import PackageCache

LISTS = (("group", "list", "--hidden"), ("environment", "list"))
# "core                 Core                      no"
ROW = re.compile(r"^(\S+)\s+(.*?)\s+(?:yes|no)\s*$")


def resolve_group_names(
    tree: str, dnf: command.Dnf, start: Sequence[str], home: PrivateHome, options: Options, *, shelf: PackageCache
) -> Options:
    """The options with group ids in place of group names. start: dnf's command line up to the operation.

    Raises StageError for a group that no repository has.
    """
    is_group = options.operation == "groupinstall"
    if dnf.version != 5 or not (is_group or options.groups):
        return options
    ids: dict[str, str] = {}
    downloading = shelf.visible_for_download()
    for words in LISTS:
        done = command.run(sandbox.command(tree, home, downloading, [*start, *words], network=True), home, quiet=True)
        failures.check_download(done, options)
        rows = [match for line in done.lines if (match := ROW.match(line))]
        ids = {**{row[2].lower(): row[1] for row in rows}, **{row[1].lower(): row[1] for row in rows}, **ids}
    asked = options.packages if is_group else options.groups
    if missing := [name for name in asked if name.lower() not in ids]:
        raise failures.no_group(missing, options)
    if is_group:
        return replace(options, packages=tuple(ids[name.lower()] for name in options.packages))
    packages = (f"@{ids[name[1:].lower()]}" if name.startswith("@") else name for name in options.packages)
    return replace(options, packages=tuple(packages))


# dnf 4's state of a module, which all systems with modules have; see dnf.modularity(7).
STATE = "/etc/dnf/modules.d/{name}.module"
ENABLED = "[{name}]\nname={name}\nstream={stream}\nprofiles=\nstate=enabled\n"


def enable_modules(
    tree: str, dnf: command.Dnf, start: Sequence[str], home: PrivateHome, options: Options, *, shelf: PackageCache
) -> None:
    """Enable the streams in the tree, where dnf then respects them. start: dnf's command line up to the operation.

    Raises StageError for a module or a stream that no repository has.
    """
    if not options.modules:
        return
    download = sandbox.command(tree, home, shelf.visible_for_download(), [*start, "makecache"], network=True)
    failures.check_download(command.run(download, home), options)
    words = [*start, "--cacheonly", "module", "enable", *map(str, options.modules)]
    with scaffolding.in_place(tree):  # it writes into the tree, whose symlinks may be hostile
        failures.check_modules(command.run(sandbox.command(tree, home, shelf.visible(), words), home), options)
    for one in options.modules if dnf.version == 5 else ():  # it keeps the state in another place
        tree_paths.write_file(tree, STATE.format(name=one.name), ENABLED.format(name=one.name, stream=one.stream))
