"""Contends for locks as the program `hammer` does, but through process_lock.py:

    hammer.py DIR REFEREE PORTS SEED ACCOUNTS FIRST
"""

import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

import process_lock

folder, referee, ports, seed, accounts, first = sys.argv[1:]
process_lock.LOCK_DIR = Path(folder)
rng = random.Random(int(seed))
referee = socket.create_connection(("127.0.0.1", int(referee)))
over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()


def port_of(resource):
    kind, what = resource.split("/")[:2]
    return int(ports) + (int(what[len("brain_"):]) if kind == "name" else 12 + int(what.rpartition("-")[2]))


def bind(port):
    began = time.monotonic()
    while True:
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
            return listener
        except OSError:
            listener.close()
            # The port of a killed holder may come free a moment after its lock.
            if time.monotonic() - began > 0.5:
                raise


def say(word, resources):
    for resource in resources:
        referee.sendall(f"{word} {os.getpid()} {resource}\n".encode())
        referee.recv(1)


while not over.is_set():
    name = f"BRAIN_{int(first) + rng.randrange(6)}"
    number = rng.randrange(5)
    account = f"{accounts}-{number}" if number else None
    try:
        with process_lock.ProcessLock(name, account):
            resources = [f"name/{name.lower()}"] + ([f"account/{account.lower()}/brain"] if account else [])
            say("enter", resources)
            bound = [bind(port_of(resource)) for resource in resources]
            time.sleep(rng.random() * 0.012)
            for listener in bound:
                listener.close()
            say("leave", resources)
    except process_lock.LockHeldError:
        time.sleep(rng.random() * 0.002)
