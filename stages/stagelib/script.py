"""Run a script of the blueprint in the tree."""

import os
from contextlib import ExitStack

from stagelib import api, chroot, removal, resolver, tree_paths
from stagelib.errors import StageError

# In the script's private /run, not the tree's, so that nothing is left behind.
PLACE = "/run/osbuild-script"
DEFAULT_INTERPRETER = "/bin/sh"


def run(tree: str, script: str, *, network: bool = False) -> int:
    """Run the script with the tree as its root; returns its exit status. Raises StageError without its interpreter.

    network: whether it reaches the network that the stage has, and resolves names as the stage does.
    """
    interpreter = interpreter_of(script)
    if not tree_paths.exists(tree, interpreter or DEFAULT_INTERPRETER):
        raise StageError(f"the tree has no {interpreter or DEFAULT_INTERPRETER} to run the script")
    with ExitStack() as held:
        directory = held.enter_context(removal.temporary_directory())
        file = os.path.join(directory, "script")
        with open(file, "w", encoding="utf-8") as out:
            out.write(script)
        os.chmod(file, 0o555)  # noqa: S103 - it may run as any user
        argv = [PLACE] if interpreter else [DEFAULT_INTERPRETER, PLACE]
        binds = [chroot.Bind(file, PLACE), *(held.enter_context(resolver.in_tree(tree)) if network else ())]
        status = chroot.run(tree, argv, binds=binds, check=False, network=network)
    if status != 0:
        api.fail(f"the script ended with status {status}")
    return status


def interpreter_of(script: str) -> str:
    """The program named in the script's first line; "" when it names none."""
    first = script.partition("\n")[0]
    words = first[2:].split() if first.startswith("#!") else []
    return words[0] if words else ""
