"""Booting an image in QEMU to see that it works: Machine, and the error it raises."""

from osbuild_compose.boot.console import MachineError
from osbuild_compose.boot.machine import Answer, Finished, Machine
from osbuild_compose.firmware import Firmware

__all__ = ["Answer", "Finished", "Firmware", "Machine", "MachineError"]
