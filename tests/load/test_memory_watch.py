"""A master that takes too much memory ends its load; what it needs for the orders does not count."""

import secrets
import subprocess
import sys

import gevent
import zmq

from include.load.channel import key_pair
from include.load.memory_watch import MAX_GROWTH_BYTES, TOO_MUCH, MemoryWatch, resident_bytes
from tests.socket_servers import free_port

MASTER = """
import os, sys
import gevent
from include.load import channel, memory_watch
memory_watch.MAX_GROWTH_BYTES = 100 * 1024**2
master = channel.MasterSocket(bytes.fromhex(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]))
before = memory_watch.resident_bytes()
def end(reason):
    print(memory_watch.resident_bytes() - before, flush=True)
    os._exit(0)
gevent.spawn(memory_watch.MemoryWatch(end).watch)
gevent.spawn(master.receive)
print("listening", flush=True)
gevent.sleep(60)
"""
PARTS, PART = 400, bytes(1_000_000)


def test_growth_ends_the_load() -> None:
    """It counts from the last beginning on."""
    used, reasons = [5], list[str]()
    watch = MemoryWatch(reasons.append, used=lambda: used[0])
    used[0] += MAX_GROWTH_BYTES
    watch.begin()
    used[0] += MAX_GROWTH_BYTES
    watching = gevent.spawn(watch.watch)
    gevent.sleep(0)
    assert reasons == []
    used[0] += 1
    watching.join(timeout=10)
    assert reasons == [TOO_MUCH]


def test_the_memory_of_a_process() -> None:
    """A Python process takes at least some MB."""
    assert 10**6 < resident_bytes() < 10**11


def test_a_message_of_endless_parts_ends_the_load() -> None:
    """A holder of the key sends 400 MB as one message; ZeroMQ itself would take all of it."""
    key, port = secrets.token_bytes(32), free_port()
    command = [sys.executable, "-c", MASTER, key.hex(), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as master, zmq.Context() as context:
        assert master.stdout is not None
        assert master.stdout.readline() == "listening\n"
        with context.socket(zmq.DEALER) as worker:
            pair = key_pair(key, b"worker")
            worker.linger, worker.curve_serverkey = 0, key_pair(key, b"master").public
            worker.curve_publickey, worker.curve_secretkey = pair.public, pair.secret
            worker.connect(f"tcp://127.0.0.1:{port}")
            worker.send_multipart([PART] * PARTS)
            grown = int(master.stdout.readline())
    assert 100 * 1024**2 < grown < PARTS * len(PART) * 0.75
