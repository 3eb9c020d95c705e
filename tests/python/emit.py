"""Emits an event whose fields are texts: emit.py ADDRESS EVENT [FIELD…]. A light client (docs/protocol.md, section 2)."""

import os, struct, sys, time
import msgpack, zmq

address, event, *fields = sys.argv[1:]
publisher = int.from_bytes(os.urandom(8), "big")
numbers = [publisher, 0, 0, 0, time.time_ns() // 1000]  # position, sequence and fingerprint are not counted here
header = b"\x97\x01\x00" + b"".join(b"\xcf" + struct.pack(">Q", number) for number in numbers)
socket = zmq.Context().socket(zmq.PUSH)
socket.connect(address)
socket.send(event.encode() + b"\0" + header + msgpack.packb(fields))
socket.close(linger=2000)
