"""The events of a run, as one JSON object a line or as plain text for people.

Events (key "event"): plan, note, start, log, progress, end, error, result. docs/reference/events.md describes them.
"""

import json
import os
import threading
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from runner.errors import printable
from runner.terminal import bold


class Listener(Protocol):
    """Takes events as they happen; called from any thread."""

    def __call__(self, event: str, **fields: Any) -> None:
        """Take one event."""


class Monitor:
    """Writes each event as a line of JSON to a file descriptor."""

    def __init__(self, fd: int) -> None:
        """fd is written to, and never closed."""
        self._fd = fd
        self._lock = threading.Lock()
        self._broken = False

    def __call__(self, event: str, **fields: Any) -> None:
        """Write the event. The build continues if nothing reads it."""
        line = json.dumps({"event": event, **fields}, sort_keys=True) + "\n"
        data = line.encode()
        with self._lock:
            while data and not self._broken:
                try:
                    data = data[os.write(self._fd, data) :]
                except OSError:
                    self._broken = True


class Printer:
    """Writes events as plain lines, for people."""

    def __init__(self, out: TextIO) -> None:
        """out gets the lines, with step names in bold if it is a terminal and NO_COLOR is not set."""
        self._out = out
        self._lock = threading.Lock()
        self._color = out.isatty() and not os.environ.get("NO_COLOR")

    def __call__(self, event: str, **fields: Any) -> None:
        """Write the event, if it is one that people want to see."""
        text = self._text(event, fields)
        if text is not None:
            line = printable(text)
            is_heading = event == "start" or fields.get("state") == "failed"
            with self._lock:
                print(bold(line) if is_heading and self._color else line, file=self._out, flush=True)

    @staticmethod
    def _text(event: str, fields: dict[str, Any]) -> str | None:  # noqa: PLR0911
        match event:
            case "start":
                return f"{fields['name']}: {fields['id']}"
            case "log":
                return f"  {fields['line']}"
            case "note":
                return f"note: {fields['message']}"
            case "end" if fields["state"] == "cached":
                return f"{fields['name']}: cached"
            case "end" if fields["state"] == "done":
                return f"  done in {fields['seconds']:.2f} s"
            case "end" if fields["state"] == "failed":
                return f"{fields['name']} {fields['why']}"
            case _:
                return None


class ActiveSteps:
    """Keeps track of the steps that have started and not ended."""

    def __init__(self) -> None:
        """Nothing has started."""
        self._names: dict[str, str] = {}

    def __call__(self, event: str, **fields: Any) -> None:
        """Take one event."""
        if event == "start":
            self._names[fields["id"]] = fields["name"]
        elif event == "end":
            self._names.pop(fields["id"], None)

    def names(self) -> list[str]:
        """The names of the running stages and assemblers, in the order in which they started."""
        return list(self._names.values())


class Broadcast:
    """Passes each event on to several listeners."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        """listeners are called in order."""
        self._listeners = listeners

    def __call__(self, event: str, **fields: Any) -> None:
        """Pass the event on."""
        for listener in self._listeners:
            listener(event, **fields)
