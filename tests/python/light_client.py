"""A light client, written from docs/protocol.md alone.

    light_client.py emit EMIT REG SHAPE RECORD...      one frame per record, which is a JSON array
    light_client.py listen EMIT REG NAME COUNT         prints "ready", then a line of JSON per record
    light_client.py original-emit EMIT REG NAME N      as a program of leap.common.events does, until stdin ends
    light_client.py original-listen EMIT REG NAME COUNT
"""

import io
import json
import os
import pickle
import struct
import sys
import time

import msgpack
import zmq
from zmq.auth import load_certificate

LIMIT_MS = 20_000
PAST = 8


def protect(socket, address):
    """Over tcp the mechanism is CURVE, with the keys of this user (section 1)."""
    if not address.startswith("tcp://"):
        return
    home = os.environ.get("XDG_CONFIG_HOME", os.path.expanduser("~/.config"))
    folder = os.environ.get("EVENTS_CONFIG_DIR", os.path.join(home, "events"))
    socket.curve_publickey, socket.curve_secretkey = load_certificate(os.path.join(folder, "client.key_secret"))
    socket.curve_serverkey, _ = load_certificate(os.path.join(folder, "server.key"))


def fingerprint(shape):
    """FNV-1a 64 over the canonical text of a shape (section 4)."""
    state = 0xCBF29CE484222325
    for byte in shape.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return state


def frame(name, record, shape, publisher, flags=0):
    """A data frame with position 0 and one record (section 2)."""
    numbers = [publisher, 0, 0, fingerprint(shape), time.time_ns() // 1000]
    header = bytes([0x97, 0x01, flags]) + b"".join(b"\xcf" + struct.pack(">Q", n) for n in numbers)
    return name.encode() + b"\0" + header + msgpack.packb(record)


def records(message):
    """The header and the records of a data frame."""
    name, _, rest = message.partition(b"\0")
    assert rest[:2] == b"\x97\x01", "not a frame of version 1"
    header, *found = msgpack.Unpacker(io.BytesIO(rest))
    return name.decode(), header, found


class Listener:
    """A SUB socket and its barriers (section 5)."""

    def __init__(self, address):
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.sndhwm = 0
        protect(self.socket, address)
        self.socket.connect(address)
        self.client = int.from_bytes(os.urandom(8), "big") or 1
        self.number = 0
        self.early = []

    def subscribe(self, prefix, name=None):
        """Subscribes, and returns when it stands: the answer and the retained frame."""
        self.socket.subscribe(prefix)
        deadline = time.monotonic() + LIMIT_MS / 1000
        while time.monotonic() < deadline:
            self.number += 1
            topic = b"\xffsync/%016x/%016x" % (self.client, self.number)
            if name:
                topic += b"/" + name.encode()
            self.socket.subscribe(topic)
            answer = self.answer(topic)
            self.socket.unsubscribe(topic)
            if answer:
                return answer
        sys.exit("no answer from the server")

    def answer(self, topic):
        until = time.monotonic() + 0.5
        while (left := until - time.monotonic()) > 0:
            if not self.socket.poll(max(1, int(left * 1000))):
                continue
            parts = self.socket.recv_multipart()
            if parts[0].startswith(topic + b"\0"):
                body = msgpack.unpackb(parts[0][len(topic) + 1 :])
                return body, parts[1] if len(parts) > 1 else None
            self.early.append(parts[0])
        return None

    def receive(self):
        if self.early:
            return self.early.pop(0)
        if not self.socket.poll(LIMIT_MS):
            sys.exit("nothing came in time")
        return self.socket.recv_multipart()[0]


def push(address):
    socket = zmq.Context.instance().socket(zmq.PUSH)
    socket.linger = LIMIT_MS
    protect(socket, address)
    socket.connect(address)
    return socket


def emit(emit_addr, reg_addr, shape, *given):
    name = shape.partition("(")[0]
    publisher = int.from_bytes(os.urandom(8), "big") or 1
    # Nobody acknowledges what a light client emits: it has arrived when it comes back.
    listener = Listener(reg_addr)
    listener.subscribe(name.encode() + b"\0")
    socket = push(emit_addr)
    for record in given:
        socket.send(frame(name, json.loads(record), shape, publisher))
    left = len(given)
    while left > 0:
        _, header, found = records(listener.receive())
        if header[2] == publisher:
            left -= len(found)


def listen(_emit_addr, reg_addr, name, count):
    listener = Listener(reg_addr)
    (_epoch, _baseline, _sequences, _shape, _streams), retained = listener.subscribe(name.encode() + b"\0", name)
    print("ready", flush=True)
    left = int(count)
    if retained:
        found_name, header, found = records(retained)
        tell(found_name, header, found[-1], True)
        left -= 1
    while left > 0:
        found_name, header, found = records(listener.receive())
        # Told again for those who were registered with an earlier server.
        if header[1] & PAST:
            continue
        for record in found:
            tell(found_name, header, record, False)
            left -= 1


def tell(name, header, record, retained):
    line = {"event": name, "payload": record, "publisher": f"{header[2]:016x}", "retained": retained}
    print(json.dumps(line), flush=True)


def original_emit(emit_addr, _reg_addr, name, count):
    socket = push(emit_addr)
    for number in range(int(count)):
        # Its messages are pickles of protocol 2, and of 0 in older versions.
        socket.send(name.encode() + b"\0" + pickle.dumps((number, "é"), protocol=2 if number % 2 else 0))
    sys.stdin.read()


def original_listen(_emit_addr, reg_addr, name, count):
    listener = Listener(reg_addr)
    listener.subscribe(name.encode())
    print("ready", flush=True)
    for _ in range(int(count)):
        topic, _, content = listener.receive().partition(b"\0")
        print(json.dumps([topic.decode(), *pickle.loads(content)]), flush=True)


if __name__ == "__main__":
    commands = {
        "emit": emit,
        "listen": listen,
        "original-emit": original_emit,
        "original-listen": original_listen,
    }
    commands[sys.argv[1]](*sys.argv[2:])
    zmq.Context.instance().destroy(linger=LIMIT_MS)
