"""Messages between the processes of a group: a TCP connection for each pair, and a thread that writes to each.

The first process listens where the others know to find it (MASTER_ADDR and MASTER_PORT, tcp://host:port or
file:///path); each of the others tells it where it listens itself, and connects to all that have a lower rank.
"""

import json
import os
import queue
import secrets
import socket
import struct
import threading
import time

_HEAD = struct.Struct("!IIQ")  # group, kind of message, bytes


def _read(s, n):
    room = memoryview(bytearray(n))
    at = 0
    while at < n:
        got = s.recv_into(room[at:])
        if not got:
            raise ConnectionError("a process of the group has ended")
        at += got
    return room


class Peer:
    """The connection to another process."""

    def __init__(self, s, timeout):
        s.settimeout(timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = s
        self.early = {}  # messages that were read before they were asked for
        self.outbox = queue.SimpleQueue()
        self.fault = None
        self.writer = threading.Thread(target=self._write, daemon=True)
        self.writer.start()

    def _write(self):
        while True:
            message = self.outbox.get()
            if message is None:
                return
            try:
                for part in message:
                    self.socket.sendall(part)
            except OSError as e:
                self.fault = e
                return

    def send(self, group, kind, data):
        """Returns at once; the data must not change before they are sent: bytes, or an array of nobody else's."""
        if self.fault is not None:
            raise RuntimeError(f"the connection to another process of the group is lost: {self.fault}")
        self.outbox.put((_HEAD.pack(group, kind, len(data)), data))

    def receive(self, group, kind):
        """The next message of a kind for a group."""
        waiting = self.early.get((group, kind))
        if waiting:
            return waiting.pop(0)
        while True:
            try:
                g, k, n = _HEAD.unpack(_read(self.socket, _HEAD.size))
                data = _read(self.socket, n)
            except TimeoutError:
                raise RuntimeError("timed out: another process of the group does not take part") from None
            except OSError as e:
                raise RuntimeError(f"the connection to another process of the group is lost: {e}") from None
            if (g, k) == (group, kind):
                return data
            self.early.setdefault((g, k), []).append(data)

    def close(self):
        self.outbox.put(None)
        self.writer.join(timeout=10)
        self.socket.close()


def _listen(host, port, backlog):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind((host, port))
    except OSError as e:
        s.close()
        raise RuntimeError(f"the group cannot listen on {host}:{port}: {e.strerror}") from None
    s.listen(backlog)
    return s


def _connect(host, port, deadline):
    while True:
        try:
            return socket.create_connection((host, port), timeout=max(deadline - time.monotonic(), 0.1))
        except OSError as e:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no process of the group answers on {host}:{port}: {e}") from None
            time.sleep(0.05)


def _tell(s, value):
    data = json.dumps(value).encode()
    s.sendall(struct.pack("!Q", len(data)) + data)


def _hear(s):
    n = struct.unpack("!Q", _read(s, 8))[0]
    if n > 1 << 20:
        raise RuntimeError("something else than a process of the group has connected")
    return json.loads(bytes(_read(s, n)))


def _address(init_method, rank, deadline):
    """(host, port, file) where the first process listens, or is to listen: port 0 with a file that says which."""
    if init_method.startswith("tcp://"):
        host, _, port = init_method[len("tcp://"):].partition("?")[0].rpartition(":")
        return host, int(port), None
    if not init_method.startswith("file://"):
        raise RuntimeError(f"No rendezvous handler for {init_method!r}: use env://, tcp://host:port or file:///path")
    path = init_method[len("file://"):]
    if rank == 0:
        return "127.0.0.1", 0, path
    while time.monotonic() < deadline:
        try:
            with open(path) as f:
                host, port = f.read().split()
            return host, int(port), None
        except (OSError, ValueError):
            time.sleep(0.05)
    raise RuntimeError(f"the first process of the group has not written {path}")


def connect(init_method, rank, size, timeout):
    """The Peers of this process, by rank."""
    deadline = time.monotonic() + timeout
    host, port, path = _address(init_method, rank, deadline)
    peers = {}
    if rank == 0:
        server = _listen(host, port, size)
        server.settimeout(timeout)
        if path:
            part = f"{path}.{secrets.token_hex(4)}"
            with open(part, "w") as f:
                f.write(f"{host} {server.getsockname()[1]}")
            os.replace(part, path)
        listening = {}
        for _ in range(size - 1):
            try:
                s, _ = server.accept()
            except TimeoutError:
                raise RuntimeError(f"only {len(peers) + 1} of {size} processes have joined the group") from None
            other, address = _hear(s)
            if other in peers or not 0 < other < size:
                raise RuntimeError(f"rank {other} of a group of {size} processes is none, or has joined it before")
            peers[other], listening[other] = s, (s.getpeername()[0], address)
        for s in peers.values():
            _tell(s, listening)
        server.close()
    else:
        first = _connect(host, port, deadline)
        server = _listen(first.getsockname()[0], 0, size)
        server.settimeout(timeout)
        _tell(first, (rank, server.getsockname()[1]))
        peers[0] = first
        first.settimeout(timeout)
        listening = _hear(first)
        for other in range(1, rank):
            peers[other] = _connect(*listening[str(other)], deadline)
            _tell(peers[other], rank)
        for _ in range(rank + 1, size):
            s, _ = server.accept()
            peers[_hear(s)] = s
        server.close()
    return {r: Peer(s, timeout) for r, s in peers.items()}
