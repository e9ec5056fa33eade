"""A bot whose standard input, output and error are closed: what a library opens and writes there hits no
file of a lock.

    standard.py ACCOUNT
"""

import os
import sys

for number in range(3):
    os.close(number)

import process_lock
from process_lock import ProcessLock

lock = ProcessLock("BRAIN_DROPIN", sys.argv[1])
assert lock.acquire()

numbers = [number for guard in lock._guards if guard.has_descriptors for number in guard.numbers]
assert numbers and min(numbers) > 2, numbers
record = lock.lock_file.read_bytes()
for expected in range(3):
    number = os.open(f"own-{expected}", os.O_RDWR | os.O_CREAT)
    assert number == expected, (number, expected)
    os.write(number, b"not for a lock")
assert lock.lock_file.read_bytes() == record
for path in sorted((process_lock.LOCK_DIR / ".guards").iterdir()):
    assert path.stat().st_size == 0, path
for number in range(3):
    os.close(number)
# The lock stays whoever closes or opens these.
second = ProcessLock("BRAIN_DROPIN", sys.argv[1])
assert not second.acquire()
lock.release()
assert second.acquire()
second.release()
history = (process_lock.LOCK_DIR / "history.jsonl").read_bytes()
assert b"not for a lock" not in history and history.count(b"\n") >= 4, history
