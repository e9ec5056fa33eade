"""A program that closes all descriptors, as one that becomes a daemon does, and then opens its own.

    closed.py ACCOUNT
"""

import os
import socket
import sys

from process_lock import ProcessLock

lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
assert lock.acquire()

os.closerange(3, 256)
files = [open(f"own-{number}", "w+") for number in range(12)]
sockets = [socket.socket() for _ in range(4)]
lock.release()
assert not lock.acquired and not lock.lock_file.exists()
for file in files:
    file.write("mine")
    file.flush()
    file.close()
for one in sockets:
    one.close()
assert lock.acquire()
lock.release()
