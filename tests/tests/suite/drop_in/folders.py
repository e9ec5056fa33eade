"""One rule finds the folder of the locks, from the main script upward."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("QC_LOCK_DIR", "QC_ROOT", "PYTHONPATH")}
SHOW = "import process_lock\nprint(process_lock.LOCK_DIR, flush=True)\n"
TAKE = SHOW + "for name in 'AB':\n    assert process_lock.ProcessLock(name).acquire()\n"


def folder(name, *, with_config=False, with_module=False):
    path = HERE / name
    path.mkdir(parents=True)
    if with_config:
        (path / "MASTER_CONFIG.json").write_text("{}")
    if with_module:
        shutil.copy(HERE / "process_lock.py", path)
    return path


def script(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def run(*words, cwd, env=()):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env={**ENVIRONMENT, **dict(env)}, check=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return done.stdout.splitlines(), done.stderr


def locks_of(*words, cwd, env=()):
    shown, said = run(*words, cwd=cwd, env=env)
    assert said == "", said
    return Path(shown[0])


fleet = folder("fleet", with_config=True, with_module=True)
other = folder("other", with_config=True, with_module=True)
library, empty = folder("library", with_module=True), folder("empty")
shared = {"PYTHONPATH": str(library)}
expected = fleet / ".locks"

# A bot in a folder below, started from anywhere, with the module in the fleet, in none, or in another one.
bot = script(fleet / "bots" / "BRAIN_X.py", SHOW)
for module in (fleet, library, other):
    for cwd in (fleet, fleet / "bots", empty, other):
        start = {"PYTHONPATH": str(module)}
        assert locks_of(bot, cwd=cwd, env=start) == expected, (module, cwd)
        assert locks_of(os.path.relpath(bot, cwd), cwd=cwd, env=start) == expected, (module, cwd)
# One that goes to another folder before it imports the module. Python 3.8 knows its script as it was named.
if sys.version_info >= (3, 9):
    moved = script(fleet / "moved.py", f"import os\nos.chdir({str(other)!r})\n" + SHOW)
    assert locks_of("moved.py", cwd=fleet, env=shared) == expected
# A package, which is imported before Python knows the module that it runs.
script(fleet / "package" / "__init__.py", SHOW)
script(fleet / "package" / "bot.py", "")
assert locks_of("-m", "package.bot", cwd=fleet, env=shared) == expected
# No script at all, as in a console or a notebook.
assert locks_of("-c", SHOW, cwd=fleet / "bots", env=shared) == expected
for argv in ("[]", "['']", "None"):
    assert locks_of("-c", f"import sys\nsys.argv = {argv}\n" + SHOW, cwd=fleet, env=shared) == expected
# A one-file program, which unpacks its modules to a folder for this run.
frozen = f"import sys\nsys.frozen, sys.executable = True, {str(fleet / 'bots' / 'bot.exe')!r}\n" + SHOW
assert locks_of("-c", frozen, cwd=empty, env=shared) == expected

# The locks stay where they are when the program goes elsewhere.
moving = SHOW + """
import os, sys
if len(sys.argv) > 1:
    process_lock.LOCK_DIR = process_lock.Path(sys.argv[1])
lock = process_lock.ProcessLock("BRAIN_X")
process_lock.list_active_locks()
os.chdir("..")
assert lock.acquire() and lock.lock_file.exists()
assert [one["name"] for one in process_lock.list_active_locks()] == ["BRAIN_X"]
print(lock.lock_file.parent)
lock.release()
assert process_lock.list_active_locks() == []
"""
mover = script(empty / "mover.py", moving)
shown, _ = run(mover, cwd=empty, env={**shared, "QC_LOCK_DIR": "mine"})
assert shown == [str(empty / "mine")] * 2, shown
shown, _ = run(mover, "own", cwd=empty, env=shared)
assert shown[1] == str(empty / "own"), shown
shown, _ = run(mover, cwd=empty, env={**shared, "QC_ROOT": "root"})
assert shown == [str(empty / "root" / ".locks")] * 2, shown

# Where there is no fleet the locks are beside the module, which is said once.
taker = script(empty / "BRAIN_Y.py", TAKE)
shown, said = run(taker, cwd=empty, env=shared)
assert shown == [str(library / ".locks")], shown
assert said.count("no MASTER_CONFIG.json was found") == 1 and str(library).replace("\\", "/") in said.replace("\\", "/"), said
shown, said = run(script(fleet / "BRAIN_Y.py", TAKE), cwd=empty, env=shared)
assert shown == [str(expected)] and said == "", said
