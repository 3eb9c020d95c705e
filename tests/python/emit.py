"""Emits an event whose fields are texts: emit.py EMIT_ADDRESS REG_ADDRESS EVENT [FIELD…]. A light client (docs/protocol.md)."""

import os, struct, sys, time
import msgpack, zmq

emit, reg, event, *fields = sys.argv[1:]
publisher, zero = os.urandom(8), bytes(8)  # position, sequence and fingerprint are not counted here
numbers = [publisher, zero, zero, zero, struct.pack(">Q", time.time_ns() // 1000)]
name, barrier = event.encode() + b"\0", b"\xffsync/%s/%016x" % (publisher.hex().encode(), 1)
push, sub = (zmq.Context.instance().socket(kind) for kind in (zmq.PUSH, zmq.SUB))
push.connect(emit), sub.connect(reg)
sub.rcvtimeo = 20_000
sub.subscribe(name), sub.subscribe(barrier)
while not sub.recv().startswith(barrier):  # until then the server may not have heard of it
    pass
push.send(name + b"\x97\x01\x00" + b"".join(b"\xcf" + number for number in numbers) + msgpack.packb(fields))
while publisher not in sub.recv():  # nobody acknowledges it: it has arrived when it comes back
    pass
