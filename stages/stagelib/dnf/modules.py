"""Streams of modules, enabled before packages are looked for: https://docs.fedoraproject.org/en-US/modularity/."""

from collections.abc import Sequence

from stagelib import intree
from stagelib.dnf import command, messages, sandbox, surroundings
from stagelib.dnf.home import Home
from stagelib.dnf.options import Options
from stagelib.dnf.shelf import Shelf

# What dnf 4 knows of a module, which all systems that have modules have; see dnf.modularity(7).
STATE = "/etc/dnf/modules.d/{name}.module"
ENABLED = "[{name}]\nname={name}\nstream={stream}\nprofiles=\nstate=enabled\n"


def enable(tree: str, dnf: command.Dnf, start: Sequence[str], home: Home, options: Options, *, shelf: Shelf) -> None:
    """Have the tree remember the streams, which dnf then follows there. start: dnf's command line up to the operation.

    Raises StageError for a module or a stream that no repository has.
    """
    if not options.modules:
        return
    messages.check_download(command.run([*start, "makecache"], home), options)
    words = [*start, "--cacheonly", "module", "enable", *map(str, options.modules)]
    with surroundings.present(tree):  # it writes into the tree, whose symlinks may lead anywhere
        messages.check_modules(command.run(sandbox.command(tree, home, shelf.visible(), words), home), options)
    for one in options.modules if dnf.version == 5 else ():  # it remembers them in a place of its own
        intree.write_file(tree, STATE.format(name=one.name), ENABLED.format(name=one.name, stream=one.stream))
