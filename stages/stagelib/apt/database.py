"""Write dpkg's database for packages that were unpacked without dpkg, as dpkg itself would have left it.

It is written before any program runs in the tree, but packages may ship symlinks in its place.
"""

from collections.abc import Iterable, Mapping

from stagelib import tree_paths
from stagelib.apt.extract import Unpacked
from stagelib.apt.package import Package

ADMIN = "var/lib/dpkg"


def create(tree: str, unpacked: Mapping[Package, Unpacked]) -> None:
    """Write status, info and triggers for these packages, all in the state "unpacked"."""
    for name in ("info", "triggers", "updates", "parts", "alternatives"):
        tree_paths.make_dirs(tree, f"{ADMIN}/{name}")
    tree_paths.write_file(tree, f"{ADMIN}/info/format", "1\n")
    for package, files in unpacked.items():
        _write_info(tree, f"{ADMIN}/info/{package.info_name}", package, files)
    text = "\n".join(stanza(package, files.conffiles) for package, files in unpacked.items())
    tree_paths.write_file(tree, f"{ADMIN}/status", text)
    _write_interests(tree, f"{ADMIN}/triggers", unpacked)


def stanza(package: Package, conffiles: Mapping[str, str]) -> str:
    """The package's entry in the status file.

    A conffile has the digest of the file in the tree instead of dpkg's "newconffile": there is no .dpkg-new, and then
    dpkg keeps the entry (deferred_configure_conffile).
    """
    lines = [package.text("control").strip("\n"), "Status: install ok unpacked"]
    if package.conffiles:
        lines += ["Conffiles:", *(f" {path} {conffiles[path]}" for path in package.conffiles)]
    return "\n".join(lines) + "\n"


def activations(directly: Mapping[Package, Unpacked], interested: Iterable[Package]) -> str:
    """The triggers that dpkg would have activated by unpacking these packages, in the format of its triggers/Unincorp.

    Triggers of a package that is not configured yet are not processed, since its configuration does the work anyway.
    So only packages that were configured before (`interested`) matter.
    """
    names: dict[str, None] = {}
    watched = tuple(name for package in interested for _, name in _interests(package) if name.startswith("/"))
    for package, files in directly.items():
        for word, name in _directives(package):
            if word.startswith("activate"):
                names[name] = None
        for watch in watched:
            if any(path == watch or path.startswith(watch + "/") for path in files.paths):
                names[watch] = None
    return "".join(f"{name} -\n" for name in names)


def _write_info(tree: str, prefix: str, package: Package, files: Unpacked) -> None:
    tree_paths.write_file(tree, f"{prefix}.list", "".join(f"{path}\n" for path in files.paths))
    for name, file in package.files.items():
        if name != "control":
            tree_paths.write_file(tree, f"{prefix}.{name}", file.data, mode=file.mode, mtime=file.mtime)


def _write_interests(tree: str, directory: str, packages: Iterable[Package]) -> None:
    """triggers/File has the packages interested in paths, triggers/NAME those interested in an explicit trigger."""
    of_files = []
    of_names: dict[str, list[str]] = {}
    for package in packages:
        for word, name in _interests(package):
            who = package.info_name + ("/noawait" if word == "interest-noawait" else "")
            if name.startswith("/"):
                of_files.append(f"{name} {who}\n")
            else:
                of_names.setdefault(name, []).append(f"{who}\n")
    tree_paths.write_file(tree, f"{directory}/File", "".join(of_files))
    for name, lines in of_names.items():
        tree_paths.write_file(tree, f"{directory}/{name}", "".join(lines))


def _interests(package: Package) -> list[tuple[str, str]]:
    return [(word, name) for word, name in _directives(package) if word.startswith("interest")]


def _directives(package: Package) -> list[tuple[str, str]]:
    lines = (line.partition("#")[0].split() for line in package.text("triggers").splitlines())
    return [(line[0], line[1]) for line in lines if len(line) == 2]


def overlapping(unpacked: Mapping[Package, Unpacked]) -> set[Package]:
    """The packages that ship a file of another one: only dpkg decides whose it is (Replaces)."""
    owners: dict[str, Package] = {}
    both: set[Package] = set()
    for package, files in unpacked.items():
        for path in files.files:
            other = owners.setdefault(_merged(path), package)
            if other is not package:
                both |= {package, other}
    for package, files in unpacked.items():
        for path, _, _, _ in files.directories:
            owner = owners.get(_merged(path))
            if owner and path not in MERGED:
                both |= {package, owner}
    return both


MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/libo32")


def _merged(path: str) -> str:
    """The path with a merged /usr."""
    top = "/" + path.split("/", 2)[1]
    return f"/usr{path}" if top in MERGED and path != top else path


def first_directories(unpacked: Iterable[Unpacked]) -> list[tuple[str, int, int, int]]:
    """The directories that several packages ship with different modes or owners, as the first package has them."""
    first: dict[str, tuple[str, int, int, int]] = {}
    differing: set[str] = set()
    for files in unpacked:
        for directory in files.directories:
            path = _merged(directory[0])
            if first.setdefault(path, directory)[1:] != directory[1:]:
                differing.add(path)
    return [first[path] for path in sorted(differing)]
