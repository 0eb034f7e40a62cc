"""Install into an empty tree, fast: files are unpacked directly and in parallel, dpkg configures once.

The result is what apt and dpkg would have made. In order:

1. The archives' control files are read. The Essential packages and what they need are the *foundation*.
2. All packages whose unpacking runs no script are unpacked by our workers into the tree, and dpkg's database is
   written for them. Foundation packages with a preinst are unpacked too, to have a system that can run one.
3. The tree's dpkg unpacks the foundation packages that have a preinst (once more) and configures the foundation.
4. The tree's dpkg unpacks the other packages that need it, their Pre-Depends being configured before. What preinsts
   have said of files of other packages (dpkg-statoverride) is done.
5. dpkg configures everything else, with the triggers that unpacking activated.
"""

from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool

from stagelib import api, devices, tree_paths
from stagelib.api import phase
from stagelib.apt import database, debconf, dpkg, scaffolding, shared, stat_overrides
from stagelib.apt.downloads import Downloaded
from stagelib.apt.extract import Unpacked, Workers
from stagelib.apt.options import Answer, Options
from stagelib.apt.order import Relations
from stagelib.apt.package import Package
from stagelib.devices import Device
from stagelib.errors import StageError
from stagelib.packages import cleanup

MERGED = ("bin", "sbin", "lib")
LIB64 = ("amd64", "ppc64el", "loong64")  # where the dynamic loader is in /lib64
LOCKS = "/run/lock"  # where /var/lock leads; what base-files makes of it is gone with the /run of its script
FIRST = ("base-passwd", "base-files")  # users, then directories: all other scripts may rely on both


def install(tree: str, work: str, downloaded: Downloaded, wanted: Options, epoch: int) -> list[Package]:
    """Install the downloaded archives into the empty tree; returns their packages.

    work: a directory for this stage alone; epoch: mtime of all directories, seconds. Raises StageError.
    """
    _merge_usr(tree, wanted.architecture)
    workers = Workers(tree, downloaded.directories, shared.archives(work))
    try:
        with phase("read control files"):
            packages = [one.result() for one in [workers.read(archive) for archive in downloaded.archives]]
        relations = Relations(packages)
        foundation = relations.foundation()
        if not foundation:
            raise StageError("the repositories have no Essential packages", "add the distribution's own repository")
        with phase("unpack"):
            unpacked, stored = _unpack(workers, packages, foundation)
            by_dpkg = set(stored)
    except BrokenProcessPool:
        raise StageError(
            "a process that unpacks packages was killed", "the machine may have too little memory"
        ) from None
    finally:
        workers.close()
    with phase("write dpkg's database"):
        database.create(tree, unpacked)
        for path, mode, uid, gid in database.first_directories(unpacked.values()):
            tree_paths.change(tree, path, mode=mode, uid=uid, gid=gid)
    cleanup.date_directories(tree, epoch)
    with scaffolding.in_place(tree):
        with phase("configure the essential packages"):
            _configure_foundation(tree, work, foundation, by_dpkg, relations=relations, answers=wanted.answers)
        rest = {package: files for package, files in unpacked.items() if package not in foundation}
        tree_paths.append(tree, f"{database.ADMIN}/triggers/Unincorp", database.activations(rest, foundation))
        with phase("unpack by dpkg"):
            waiting = [package for package in packages if package in by_dpkg and package not in foundation]
            for step in relations.unpacking(waiting, foundation):
                if step.action == "unpack":
                    dpkg.unpack(tree, work, [file_name(one) for one in step.packages])
                else:
                    dpkg.configure(tree, work, [one.name for one in step.packages], "--no-triggers")
        stat_overrides.apply(tree, unpacked.values())
        with phase("configure"):
            dpkg.configure(tree, work, ["-a"], count=len(packages) - len(foundation))
        scaffolding.run_deferred(tree, work)
    if not tree_paths.exists(tree, LOCKS):
        tree_paths.make_dirs(tree, LOCKS, mode=0o1777)
    debconf.forget_passwords(tree, wanted.answers, debconf.of_packages(packages))
    for nodes in stored.values():
        for path, device in nodes.items():
            devices.mark_empty_file(tree, path, device)
    return packages


def file_name(package: Package) -> str:
    """The name of the package's uncompressed archive among shared.archives()."""
    return f"{package.name}.deb"


def _merge_usr(tree: str, architecture: str) -> None:
    for name in (*MERGED, *(["lib64"] if architecture in LIB64 else [])):
        tree_paths.make_dirs(tree, f"usr/{name}")
        tree_paths.write_symlink(tree, name, f"usr/{name}")


def _unpack(
    workers: Workers, packages: Sequence[Package], foundation: Sequence[Package]
) -> tuple[dict[Package, Unpacked], dict[Package, dict[str, Device]]]:
    """Unpack directly where possible; returns what was unpacked, and the packages left to dpkg with their devices."""
    direct, stored = [], []
    # So that the last one to finish is small.
    big_first = sorted(packages, key=lambda one: one.archive.size, reverse=True)
    for package in big_first:
        if reason := package.reason_for_dpkg:
            print(f"{package.name} is unpacked by dpkg: {reason}", flush=True)
            stored.append((package, workers.write_stored(package, file_name(package))))
        if not reason or package in foundation:
            direct.append((package, workers.unpack(package)))
    results = {}
    for done, (package, job) in enumerate(direct, 1):
        results[package] = job.result()
        api.progress(done, len(direct), "packages")
    by_dpkg = {package: job.result() for package, job in stored}
    late = {one: f"its contents: {files.reason}" for one, files in results.items() if files.reason}
    late |= dict.fromkeys(database.overlapping(results), "another package ships one of its files too")
    for package, reason in late.items():
        if package not in by_dpkg:
            print(f"{package.name} is unpacked by dpkg: {reason}", flush=True)
            by_dpkg[package] = workers.write_stored(package, file_name(package)).result()
    # in apt's order: results must not depend on which worker was faster
    return {one: results[one] for one in packages if one in results and one not in by_dpkg}, by_dpkg


def _configure_foundation(
    tree: str,
    work: str,
    foundation: Sequence[Package],
    by_dpkg: set[Package],
    *,
    relations: Relations,
    answers: Sequence[Answer],
) -> None:
    """Configure what all other packages may rely on; debconf before the packages whose questions have answers."""
    first = sorted((one for one in foundation if one.name in FIRST), key=lambda one: FIRST.index(one.name))
    ordered = [*first, *(one for one in foundation if one not in first)]
    if files := [file_name(one) for one in ordered if one in by_dpkg]:
        dpkg.unpack(tree, work, files, "--force-depends")
    for package in first:
        dpkg.configure(tree, work, [package.name], "--force-depends", "--no-triggers")
    rest = [one for one in ordered if one not in first]
    if answers:
        early = relations.closure(one for one in rest if one.name == debconf.PACKAGE)
        dpkg.configure(tree, work, [one.name for one in rest if one in early], "--no-triggers")
        debconf.give(tree, answers, debconf.of_packages(relations.packages))
        rest = [one for one in rest if one not in early]
    dpkg.configure(tree, work, [one.name for one in rest], "--no-triggers")
