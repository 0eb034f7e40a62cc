"""Answers to packages' questions, put into the tree's debconf before the packages are configured."""

from collections.abc import Iterable, Mapping, Sequence

from stagelib import chroot, tree_paths
from stagelib.apt import dpkg
from stagelib.apt.options import Answer
from stagelib.apt.package import Package, parse_control
from stagelib.errors import StageError

PACKAGE = "debconf"
PROGRAM = "/usr/bin/debconf-set-selections"
TEMPLATES = "/var/cache/debconf/templates.dat"
MOST = 64 << 20  # bytes of TEMPLATES; a desktop's has 2 MiB
PASSWORD = "password"  # noqa: S105 - the name of a type
SEEN = "seen"  # not a type: the line sets this flag of the question


def of_packages(packages: Iterable[Package]) -> dict[str, str]:
    """The types of the questions that the packages ask, by the questions' names."""
    return {name: kind for package in packages for name, kind in types(package.text("templates"), "Template").items()}


def of_tree(tree: str) -> dict[str, str]:
    """The same of the packages that the tree has."""
    text = tree_paths.text_or_none(tree, TEMPLATES, errors="replace", limit=MOST)
    return types(text or "", "Name")


def types(text: str, name: str) -> dict[str, str]:
    """The types by the field `name` of the stanzas: a package's templates file, or debconf's own database."""
    stanzas = (parse_control(part) for part in text.split("\n\n") if part.strip() and not part.startswith((" ", "\t")))
    return {stanza[name]: stanza["Type"] for stanza in stanzas if name in stanza and "Type" in stanza}


def typed(answers: Sequence[Answer], known: Mapping[str, str]) -> list[Answer]:
    """The answers, each with the type of its question as its package says it, or else with its own, or `string`."""
    return [
        Answer(
            one.package,
            one.question,
            one.value,
            SEEN if one.type == SEEN else known.get(one.question) or one.type or "string",
        )
        for one in answers
    ]


def give(tree: str, answers: Sequence[Answer], known: Mapping[str, str]) -> None:
    """Have the tree's debconf take the answers; known: the types of questions. Raises StageError."""
    if not tree_paths.is_file(tree, PROGRAM):
        raise StageError("there is no debconf in the tree to take the `answers`", "add the package debconf")
    for one in answers:
        if one.question not in known:
            print(f"no package that is installed has the question {one.question} yet", flush=True)
    lines = (f"{one.package} {one.question} {one.type} {one.value}\n" for one in typed(answers, known))
    status = chroot.run(tree, [PROGRAM], env=dpkg.ENVIRONMENT, stdin="".join(lines), check=False)
    if status != 0:
        raise StageError(f"debconf does not take the `answers`: {PROGRAM} ended with status {status}", "see the log")


def forget_passwords(tree: str, answers: Sequence[Answer], known: Mapping[str, str]) -> None:
    """Reset the answers that are passwords, once packages have used them. Raises StageError."""
    secret = [one for one in typed(answers, {**known, **of_tree(tree)}) if one.type == PASSWORD]
    if not secret:
        return
    commands = "".join(f"RESET {one.question}\n" for one in secret)
    argv = ["debconf-communicate", secret[0].package]
    if chroot.run(tree, argv, env=dpkg.ENVIRONMENT, stdin=commands, check=False) != 0:
        raise StageError("debconf does not remove the passwords among the `answers`", "see the log")
    # The program keeps the file as it was before beside the new one.
    for name in ("passwords.dat-old", "config.dat-old"):
        path = f"/var/cache/debconf/{name}"
        if tree_paths.exists(tree, path):
            tree_paths.remove(tree, path)
