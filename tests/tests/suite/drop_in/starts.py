"""Starts `ways.py` in all ways that a Python can be started.

    starts.py ACCOUNT
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WAYS = str(HERE / "ways.py")


def start(*words, shown="held"):
    done = subprocess.run([*words, sys.argv[1]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0 and shown in done.stdout.decode(), (words, done)
    assert b"Traceback" not in done.stderr and b"Warning" not in done.stderr, (words, done.stderr)


for options in ("-X dev -W error", "-O", "-OO", "-B -S", "-bb -W error", "-X utf8", "-u"):
    start(sys.executable, *options.split(), WAYS)
for name in ("bot.zip", "bot.pyz"):
    with zipfile.ZipFile(HERE / name, "w") as archive:
        archive.write(WAYS, "__main__.py")
        archive.write(HERE / "process_lock.py", "process_lock.py")
    start(sys.executable, str(HERE / name))
# From a zip without a fleet the locks are beside it, as nothing can be made in it.
environment = {key: value for key, value in os.environ.items() if key not in ("QC_LOCK_DIR", "QC_ROOT")}
subprocess.run([sys.executable, str(HERE / "bot.zip"), sys.argv[1]], env=environment, check=True, stdout=subprocess.DEVNULL)
assert (HERE / ".locks").is_dir()
# As pythonw and services do, with no standard streams at all.
if os.name == "nt":
    windowed = Path(sys.executable).with_name("pythonw.exe")
    if windowed.exists():
        start(str(windowed), WAYS, shown="")
else:
    start("sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', sys.executable, WAYS, shown="")
