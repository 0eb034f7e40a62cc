"""Sends packets from another network namespace to this one, and prints what became of them.

Run in a network namespace of its own, whose firewall is loaded. Each argument is a source: an address, or an address
and the network card that it comes from: 192.0.2.1, 203.0.113.7@52:54:00:12:34:56. Prints a line for each.
"""

import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from subprocess import PIPE

HERE = {socket.AF_INET: "100.64.0.1", socket.AF_INET6: "fd00::1"}
ROUTE = {socket.AF_INET: "100.64.0.0/10", socket.AF_INET6: "fd00::/64"}
CARD = "02:00:00:00:00:01"
PORTS = (22, 9999)
SECONDS = 0.4  # a packet needs a few microseconds
SILENCE = "nothing"
THERE = "--there"


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ping(source: str) -> str:
    """Whether an echo request from the source is answered."""
    family = family_of(source)
    is_six = family == socket.AF_INET6
    kind, answer, protocol = (128, 129, socket.IPPROTO_ICMPV6) if is_six else (8, 0, socket.IPPROTO_ICMP)
    message = struct.pack("!BBHHH", kind, 0, 0, 1, 1)
    if not is_six:
        total = sum(struct.unpack("!4H", message))
        message = struct.pack("!BBHHH", kind, 0, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF, 1, 1)
    with socket.socket(family, socket.SOCK_RAW, protocol) as sender:
        sender.bind((source, 0))
        sender.settimeout(SECONDS)
        sender.sendto(message, (HERE[family], 0))
        try:
            while True:
                received = sender.recv(2048)
                code = received[0] if is_six else received[20]
                if code in (answer, 1, 3):  # the answer, or that the destination is unreachable
                    return "answered" if code == answer else "rejected"
        except TimeoutError:
            return SILENCE


def connect(source: str, port: int) -> str:
    """What a connection from the source meets: a closed port that it reaches refuses it."""
    try:
        socket.create_connection((HERE[family_of(source)], port), SECONDS, (source, 0)).close()
    except ConnectionRefusedError:
        return "reached"
    except TimeoutError:
        return SILENCE
    except OSError:
        return "rejected"
    return "reached"


def main(sources: Sequence[str]) -> None:
    """Connect this namespace to another one, and run this file there."""
    ip("link", "set", "lo", "up")
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=PIPE, stdout=PIPE) as other:
        assert other.stdout
        other.stdout.readline()
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(other.pid))
        for address in HERE.values():
            add(address, "here", 64 if ":" in address else 10)
        ip("link", "set", "here", "up")
        for everywhere in ("0.0.0.0/0", "::/0"):
            ip("route", "add", everywhere, "dev", "here")
        enter = ["nsenter", f"--net=/proc/{other.pid}/ns/net"]
        subprocess.run([*enter, sys.executable, __file__, THERE, *sources], check=True)


def send_from(sources: Sequence[str]) -> None:
    """Send packets from all of the sources, which this namespace gets."""
    ip("link", "set", "there", "up")
    for route in ROUTE.values():
        ip("route", "add", route, "dev", "there")
    for text in sources:
        address, _, card = text.partition("@")
        ip("link", "set", "there", "address", card or CARD)
        add(address, "there", 128 if ":" in address else 32)
        print(text, ping(address), *(connect(address, port) for port in PORTS), flush=True)


def add(address: str, device: str, bits: int) -> None:
    ip("address", "add", f"{address}/{bits}", "dev", device, *(["nodad"] if ":" in address else []))


if __name__ == "__main__":
    if sys.argv[1] == THERE:
        send_from(sys.argv[2:])
    else:
        main(sys.argv[1:])
