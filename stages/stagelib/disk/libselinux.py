"""libselinux's own matching of paths, selabel_open(3) and selabel_lookup(3), without a kernel that knows SELinux."""

import ctypes
import errno
import os
from typing import Any

from stagelib.disk.errors import ImageError

LIBRARY = "libselinux.so.1"
CTX_FILE = 0  # SELABEL_CTX_FILE of selinux/label.h
OPT_PATH = 3  # SELABEL_OPT_PATH


class _Option(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("value", ctypes.c_char_p))


class Contexts:
    """File contexts, open for questions."""

    def __init__(self, path: str) -> None:
        """Read the file contexts at `path` and what lies beside it (.homedirs, .local, .subs, .subs_dist).

        Raises ImageError when libselinux is not there or cannot read the file.
        """
        self._library = _load()
        options = (_Option * 1)(_Option(OPT_PATH, os.fsencode(path)))
        self._handle = self._library.selabel_open(CTX_FILE, options, 1)
        if not self._handle:
            raise ImageError(f"libselinux cannot read the file contexts: {os.strerror(ctypes.get_errno())}")

    def label(self, path: str, mode: int) -> str | None:
        """The label of a file of this type and mode at the absolute `path`; None when it is to have none.

        Raises ImageError when a pattern cannot be used.
        """
        found = ctypes.c_void_p()
        ctypes.set_errno(0)  # libselinux leaves it alone when a pattern is not a regular expression
        if self._library.selabel_lookup_raw(self._handle, ctypes.byref(found), os.fsencode(path), mode) == 0:
            label = ctypes.string_at(found).decode("utf-8", "surrogateescape")
            self._library.freecon(found)
            return label
        if ctypes.get_errno() == errno.ENOENT:
            return None
        raise ImageError(f"libselinux cannot match {path}: a pattern of the file contexts is wrong")

    def close(self) -> None:
        """Forget the file contexts."""
        self._library.selabel_close(self._handle)


def _load() -> Any:
    try:
        library = ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError:
        raise ImageError(
            f"{LIBRARY}, which knows the SELinux labels, is not installed where this image is made",
            "install the package libselinux1 (Debian, Ubuntu) or libselinux (Fedora, CentOS) in the build root",
        ) from None
    library.selabel_open.restype = ctypes.c_void_p
    library.selabel_open.argtypes = (ctypes.c_uint, ctypes.POINTER(_Option), ctypes.c_uint)
    library.selabel_lookup_raw.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.c_void_p),
        ctypes.c_char_p,
        ctypes.c_int,
    )
    library.selabel_close.argtypes = (ctypes.c_void_p,)
    library.freecon.argtypes = (ctypes.c_void_p,)
    return library
