"""Booting an image in QEMU to see that it works: Machine, and the error it raises."""

from osbuild_compose.boot.console import MachineError
from osbuild_compose.boot.machine import Answer, Finished, Machine

__all__ = ["Answer", "Finished", "Machine", "MachineError"]
