"""Examining this machine: the runner's part, and booting."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from osbuild_compose import runner_client
from osbuild_compose.doctor import booting
from osbuild_compose.doctor.finding import Examination, parse


def examine(store: Path, on_note: Callable[[str], None]) -> Examination:
    """What this machine has and lacks, for builds with that store. Raises ComposeError if the runner fails.

    on_note gets what programs said that were tried and failed.
    """
    building = parse(runner_client.machine_command(store, on_note))
    return replace(building, findings=(*building.findings, *booting.judge(booting.gather(), building.family)))
