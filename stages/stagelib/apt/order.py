"""The order of installation from Depends and Pre-Depends among the packages that apt chose."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from stagelib.apt.package import Package, provided_names, related_names


@dataclass(frozen=True)
class Step:
    """A call of dpkg: unpack or configure these packages."""

    action: str  # "unpack" | "configure"
    packages: tuple[Package, ...]


class Relations:
    """The dependencies among the packages of one installation. Versions are ignored, since apt has checked them."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self.packages = packages
        self._by_name: dict[str, list[Package]] = {}
        for package in packages:
            for name in provided_names(package.stanza):
                self._by_name.setdefault(name, []).append(package)

    def needed(self, package: Package, *fields: str) -> list[Package]:
        """The packages of the set that can satisfy a clause of the fields."""
        clauses = (clause for field in fields for clause in related_names(package.stanza, field))
        return [found for clause in clauses for name in clause for found in self._by_name.get(name, ())]

    def closure(self, start: Iterable[Package]) -> list[Package]:
        """`start` with everything that must be configured before it, in the set's order."""
        done: set[Package] = set()
        todo = list(start)
        while todo:
            package = todo.pop()
            if package not in done:
                done.add(package)
                todo += self.needed(package, "Pre-Depends", "Depends")
        return [package for package in self.packages if package in done]

    def foundation(self) -> list[Package]:
        """The Essential packages and their dependencies: maintainer scripts may rely on these and nothing else."""
        return self.closure(package for package in self.packages if package.essential)

    def unpacking(self, waiting: Sequence[Package], configured: Collection[Package]) -> list[Step]:
        """The calls of dpkg that unpack the `waiting` packages, each after its Pre-Depends are configured.

        All other packages of the set are unpacked, `configured` ones are configured.
        """
        steps: list[Step] = []
        ready = set(configured)
        unpacked = set(self.packages) - set(waiting)
        begun: set[Package] = set()

        def unpack(package: Package) -> None:
            if package in unpacked or package in begun:
                return
            begun.add(package)
            before = self.closure(self.needed(package, "Pre-Depends"))
            for one in before:
                unpack(one)
            if missing := tuple(one for one in before if one not in ready and one in unpacked):
                steps.append(Step("configure", missing))
                ready.update(missing)
            unpacked.add(package)
            if steps and steps[-1].action == "unpack":
                steps[-1] = Step("unpack", (*steps[-1].packages, package))
            else:
                steps.append(Step("unpack", (package,)))

        for package in waiting:
            unpack(package)
        return steps
