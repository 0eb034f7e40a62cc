"""Where a passphrase comes from: a file beside the blueprint, or a variable of the environment."""

from collections.abc import Mapping
from typing import Any

from osbuild_compose.blueprint.local_files import Beside

LIMIT = 512  # bytes: what cryptsetup reads at a prompt


def read(source: Mapping[str, Any], beside: Beside, environ: Mapping[str, str]) -> str:
    """The passphrase that `luks` of a partition names, without the end of its line.

    Raises ValueError whose text says why it cannot be had, or cannot be typed at a prompt.
    """
    if "passphrase_variable" in source:
        name = source["passphrase_variable"]
        if name not in environ:
            raise ValueError(f"there is no variable {name} in the environment")
        text, where = environ[name], f"the variable {name}"
    else:
        where = source["passphrase_file"]
        text = beside.text(where).removesuffix("\n")
    if not text or "\n" in text or len(text.encode(errors="replace")) > LIMIT:
        raise ValueError(f"{where} has no passphrase: one line of up to {LIMIT} bytes")
    return text
