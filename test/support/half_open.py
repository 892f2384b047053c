"""A TCP client made of raw packets on a network interface of its own (TUN): its handshake can pause half-way.

Needs root. https://docs.kernel.org/networking/tuntap.html; packet formats: RFC 791 and RFC 9293.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from types import TracebackType

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x891C, 0x8914, 1
OURS, THEIRS = "10.78.0.2", "10.78.0.1"  # the client's address, and the server's on this interface
SYN, PUSH, ACK = 0x02, 0x08, 0x10


class HalfOpenClient:
    """A client of `port` on THEIRS; use it in a `with` block."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.next = 100  # our sequence number
        self.theirs = 0  # the number that we acknowledge

    def __enter__(self) -> HalfOpenClient:
        name = f"half{os.getpid()}"[:15].encode()
        self.tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.tun, TUNSETIFF, struct.pack("16sH", name, IFF_TUN_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # netdevice(7)
            for request, address in ((SIOCSIFADDR, THEIRS), (SIOCSIFNETMASK, "255.255.255.0")):
                wanted = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
                fcntl.ioctl(any_socket, request, wanted)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH", name, IFF_UP))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.tun)  # the interface goes with it

    def send_syn(self) -> None:
        self._send(SYN)
        self.next += 1

    def hear_syn_ack(self) -> bool:
        while select.select([self.tun], [], [], 60)[0]:
            packet = os.read(self.tun, 4096)
            if packet[0] >> 4 == 4 and packet[9] == socket.IPPROTO_TCP and packet[33] == SYN | ACK:
                self.theirs = int.from_bytes(packet[24:28], "big") + 1
                return True
        return False

    def send_ack(self) -> None:
        self._send(ACK)

    def send(self, data: bytes) -> None:
        self._send(ACK | PUSH, data)
        self.next += len(data)

    def _send(self, flags: int, data: bytes = b"") -> None:
        ours, theirs = socket.inet_aton(OURS), socket.inet_aton(THEIRS)
        tcp = struct.pack("!HHIIBBHHH", 4444, self.port, self.next, self.theirs, 5 << 4, flags, 65535, 0, 0) + data
        check = _checksum(ours + theirs + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp)) + tcp)
        tcp = tcp[:16] + struct.pack("!H", check) + tcp[18:]
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0, ours, theirs)
        os.write(self.tun, head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + tcp)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
