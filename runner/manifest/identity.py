"""The two identifiers of a step: osbuild's id, and our cache key.

osbuild's id is computed from the manifest alone, so it is the same everywhere and forever. It leaves out too much for a
cache key (the program, the kind of build root, the machine), so the cache has keys of its own.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Increased when the runner changes what a stage sees or what a layer contains, so that older layers are not reused.
EXECUTOR_ABI = 1
OPTIONAL = (
    "secrets",
    "inputs",
)  # ingredients that are left out where there are none: steps without them keep their keys


def osbuild_id(name: str, build: str | None, base: str | None, options: Mapping[str, Any]) -> str:
    """The id of a stage or an assembler as osbuild has computed it since version 2, in hexadecimal.

    That is the id of a step without inputs and mounts, which have entered the id since osbuild 25.

    build is the id of the build pipeline's tree, and base that of the tree before this step; None if there is none.
    """
    digest = hashlib.sha256()
    for part in (name, build, base, options):
        digest.update(json.dumps(part, sort_keys=True).encode())
    return digest.hexdigest()


@dataclass(frozen=True)
class Ingredients:
    """Everything that can change the result of a step. Each field changes the key.

    program is the digest of the program, its meta.json and the library that it imports. build and parent are the cache
    keys of the build root's tree and of the tree before this step; build describes the host where the host's /usr is
    the build root. sources maps each source that the step may read to its digest, secrets each passphrase that it may
    read to its stretched form, and inputs the names of its inputs to the cache keys of their trees. source_date_epoch
    is in seconds since 1970.
    """

    kind: str
    name: str
    options: Mapping[str, Any]
    program: str
    build: str
    parent: str | None
    sources: Mapping[str, str]
    architecture: str
    source_date_epoch: int
    network: bool
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    def canonical(self) -> str:
        """The canonical JSON text whose digest is the key."""
        fields = {key: value for key, value in asdict(self).items() if key not in OPTIONAL or value}
        return json.dumps({"abi": EXECUTOR_ABI, **fields}, sort_keys=True, separators=(",", ":"))

    def key(self) -> str:
        """The cache key: sha256 in hexadecimal."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
