"""Serve and ask in a network namespace that has nothing but its loopback; count what was sent elsewhere."""

from __future__ import annotations

import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

UP = 1


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", UP))  # SIOCSIFFLAGS


def sent_elsewhere() -> int:
    """Packets that had no route: whoever looks for another host here is counted by the kernel."""
    lines = [
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Ip:")
    ]
    return int(dict(zip(*lines, strict=True))["OutNoRoutes"])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    raise_loopback()
    from serving import serving

    folder, *command = sys.argv[1:]
    with serving(folder, "--port", "0", "--lm", "none", command=tuple(command)) as server:
        server.until_ready()
        client = server.client
        answers = {
            "predict": client.post("/predict", json={"text": "roses"}).status_code,
            "explain": client.post("/explain", json={"text": "roses"}).status_code,
            "page": client.get("/").status_code,
            "vectors": client.get("/vectors?step=cbow").status_code,
            "sent": sent_elsewhere(),
        }
    print(json.dumps(answers))
