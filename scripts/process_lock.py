"""Single-instance locks for the fleet's scripts: the drop-in for the old process_lock.py.

    from process_lock import ProcessLock

    with ProcessLock("BRAIN_ATLAS", account=1234567):
        trade()

A lock is held exactly as long as an operating-system file lock is held by a living process, so a
crash leaves nothing to clean up and a duplicate is refused even after somebody has deleted every
`.lock` file. Speaks the same protocol as qc-lock and qc-launch (LOCK_PROTOCOL.md of the suite).

One file, standard library only, Python 3.8 or later, Linux and Windows.
"""

import argparse
import atexit
import errno
import hashlib
import itertools
import json
import os
import re
import signal
import socket
import stat
import sys
import threading
import time
from datetime import datetime
from pathlib import Path

__all__ = [
    "LOCK_DIR", "LockError", "LockHeldError", "LockLatchedError", "LockNameError", "ProcessLock",
    "clear_all_locks", "clear_stale_locks", "list_active_locks",
]

RECORD_LIMIT = 64 * 1024
HISTORY_LIMIT = 4 * 1024 * 1024
SETTLE = 0.25  # how long a record may take to appear after its guard was locked
LATE_RELEASE = 2.0  # how long Windows may take to free the lock of a process that has ended
PAUSE, LONGEST_PAUSE = 0.005, 0.05  # between two looks: doubled each time
LEFTOVER = 60.0  # from this age a temporary file belongs to nobody
CLOCK_SLACK = 5.0  # a start is read to the second, and the clock may have been set a little since
LONGEST_FOLDER = 150  # with what is in it, Windows still takes the path as it is
TOKEN_VARIABLE = "QC_LOCK_TOKEN"
SHARE_HINT = "let all who share the locks write there, or run this as the user who may"
SHUTDOWN = "SAFE_SHUTDOWN.bat (qc-shutdown)" if os.name == "nt" else "qc-shutdown"
SHUTDOWN_HINT = f"Run {SHUTDOWN} to stop all processes safely."


class LockError(RuntimeError):
    """A lock could not be taken, released or looked at."""


class LockNameError(LockError, ValueError):
    """A text is no lock name or no account."""


class LockHeldError(LockError):
    """Somebody else holds the lock. Its text says who, and what to do."""

    told = ()  # what the history says of it


class LockLatchedError(LockHeldError):
    """Every start is forbidden. A refusal like that of a lock that is held."""


def _default_lock_dir():
    if os.environ.get("QC_LOCK_DIR"):
        return Path(os.environ["QC_LOCK_DIR"])
    if os.environ.get("QC_ROOT"):
        return Path(os.environ["QC_ROOT"]) / ".locks"
    here = Path(__file__).resolve().parent
    current = Path.cwd()
    for folder in (here, *here.parents, current, *current.parents):
        if (folder / "MASTER_CONFIG.json").exists():
            return folder / ".locks"
    return here / ".locks"


#: The folder of the locks. Read whenever it is used, so it can be set after the import.
LOCK_DIR = _default_lock_dir()


def _lock_folder():
    """The folder of the locks, as the system takes it."""
    text = os.path.abspath(LOCK_DIR)
    # Unless it is set up otherwise, Windows takes no path of 260 characters, but in this form.
    if os.name == "nt" and len(text) > LONGEST_FOLDER and not text.startswith("\\\\?\\"):
        text = "\\\\?\\UNC" + text[1:] if text.startswith("\\\\") else "\\\\?\\" + text
    return Path(text)


# --- What the operating system knows -------------------------------------------------------------

class _Gone(Exception):
    """There is no such process, or it has ended."""


class _Hidden(Exception):
    """The process exists, but we are not allowed to see it."""


if os.name == "nt":
    import ctypes
    import msvcrt
    import winreg
    from ctypes import wintypes

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)

    def _declare(library, name, result, *arguments):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        return function

    _H, _D, _B = wintypes.HANDLE, wintypes.DWORD, wintypes.BOOL
    _FILETIMES = [ctypes.POINTER(wintypes.FILETIME)] * 4
    _open_process = _declare(_kernel32, "OpenProcess", _H, _D, _B, _D)
    _close_handle = _declare(_kernel32, "CloseHandle", _B, _H)
    _get_process_id = _declare(_kernel32, "GetProcessId", _D, _H)
    _wait = _declare(_kernel32, "WaitForSingleObject", _D, _H, _D)
    _process_times = _declare(_kernel32, "GetProcessTimes", _B, _H, *_FILETIMES)
    _image_name = _declare(
        _kernel32, "QueryFullProcessImageNameW", _B, _H, _D, wintypes.LPWSTR, ctypes.POINTER(_D))
    _read_memory = _declare(
        _kernel32, "ReadProcessMemory", _B, _H, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    _query_process = _declare(
        ctypes.WinDLL("ntdll"), "NtQueryInformationProcess", ctypes.c_long,
        _H, ctypes.c_int, ctypes.c_void_p, _D, ctypes.c_void_p)
    _create_file = _declare(
        _kernel32, "CreateFileW", _H, wintypes.LPCWSTR, _D, _D, ctypes.c_void_p, _D, _D, _H)
    _get_user_name = _declare(_advapi32, "GetUserNameW", _B, wintypes.LPWSTR, ctypes.POINTER(_D))

    _GENERIC_READ, _GENERIC_READ_WRITE, _APPEND_DATA = 0x80000000, 0xC0000000, 0x4
    _SHARE_READ_WRITE, _SHARE_DELETE = 0x3, 0x4
    _OPEN_EXISTING, _OPEN_ALWAYS, _OPEN_REPARSE_POINT = 3, 4, 0x00200000
    _INVALID_HANDLE = ctypes.c_void_p(-1).value

    def _with_process(pid, use):
        """Calls `use` with an open handle of the process that has `pid` and has not ended."""
        handle = _open_process(0x1000 | 0x100000, False, pid)  # QUERY_LIMITED_INFORMATION | SYNCHRONIZE
        if not handle:
            raise _Gone() if ctypes.get_last_error() == 87 else _Hidden()
        try:
            # The two lowest bits of a pid are not looked at, so 5 opens process 4. A process that
            # has ended can be opened while somebody holds a handle to it.
            if _get_process_id(handle) != pid or _wait(handle, 0) == 0:
                raise _Gone()
            return use(handle)
        finally:
            _close_handle(handle)

    def _created(handle):
        times = [wintypes.FILETIME() for _ in range(4)]
        if not _process_times(handle, *(ctypes.byref(one) for one in times)):
            raise _Hidden()
        return times[0].dwHighDateTime << 32 | times[0].dwLowDateTime

    def _start_time(pid):
        """When the process was created, in 100 ns since 1601."""
        return _with_process(pid, _created)

    def _describe(pid):
        """Whether the process is a Python, the file names among its arguments, and its start."""
        def look(handle):
            size = _D(32768)
            buffer = ctypes.create_unicode_buffer(size.value)
            if not _image_name(handle, 0, buffer, ctypes.byref(size)):
                raise _Hidden()
            since = _created(handle) / 10_000_000 - 11_644_473_600
            is_python = _file_name(buffer.value).lower().startswith("py")
            words = re.findall(r'"([^"]*)"|(\S+)', _command_line(pid)) if is_python else []
            return is_python, [_file_name(quoted or plain) for quoted, plain in words], since
        return _with_process(pid, look)

    def _command_line(pid):
        """The command line of a 64-bit process, as it stands in its memory; empty if it can't be
        read: then the times decide alone."""
        if ctypes.sizeof(ctypes.c_void_p) != 8:
            return ""
        handle = _open_process(0x1010, False, pid)  # QUERY_LIMITED_INFORMATION | VM_READ
        if not handle:
            return ""

        def read(address, data):
            if not _read_memory(handle, address, ctypes.byref(data), ctypes.sizeof(data), None):
                raise OSError()
            return data

        try:
            basic = (ctypes.c_uint64 * 6)()
            _query_process(handle, 0, ctypes.byref(basic), ctypes.sizeof(basic), None)
            parameters = read(basic[1] + 0x20, ctypes.c_uint64()).value
            length = read(parameters + 0x70, ctypes.c_uint16()).value
            text = read(parameters + 0x78, ctypes.c_uint64()).value
            return bytes(read(text, (ctypes.c_char * length)())).decode("utf-16-le", "replace")
        except OSError:
            return ""
        finally:
            _close_handle(handle)

    def _boot_id():
        try:
            path, access = r"SOFTWARE\Microsoft\Cryptography", winreg.KEY_READ | winreg.KEY_WOW64_64KEY
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access) as key:
                return "machine-" + winreg.QueryValueEx(key, "MachineGuid")[0]
        except OSError:
            return "machine-unknown"

    def _pid_namespace():
        return None

    def _user():
        size = _D(257)
        buffer = ctypes.create_unicode_buffer(size.value)
        return buffer.value if _get_user_name(buffer, ctypes.byref(size)) else "unknown"

    def _open_shared(path, access, share, how=_OPEN_ALWAYS):
        handle = _create_file(str(path), access, share, None, how, _OPEN_REPARSE_POINT, None)
        if handle in (None, _INVALID_HANDLE):
            raise ctypes.WinError(ctypes.get_last_error())
        return _regular(msvcrt.open_osfhandle(handle, os.O_NOINHERIT), path)

    def _open_guard(path):
        # Without delete sharing, so that the path can't come to mean another file.
        return _open_shared(path, _GENERIC_READ_WRITE, _SHARE_READ_WRITE)

    def _open_for_append(path):
        # Only with this right alone is each write appended in one step.
        return _open_shared(path, _APPEND_DATA | 0x100080, _SHARE_READ_WRITE | _SHARE_DELETE)

    def _open_for_reading(path):
        # With delete sharing, so that its holder can write it again or remove it meanwhile.
        return _open_shared(path, _GENERIC_READ, _SHARE_READ_WRITE | _SHARE_DELETE, _OPEN_EXISTING)

    class _Overlapped(ctypes.Structure):
        _fields_ = [("internal", ctypes.c_size_t * 2), ("offset", _D * 2), ("event", _H)]

    _lock_file = _declare(_kernel32, "LockFileEx", _B, _H, _D, _D, _D, _D, ctypes.POINTER(_Overlapped))

    def _try_lock(fd):
        # The same byte that msvcrt.locking would lock, but with an error code that can be trusted.
        exclusive_and_at_once = 0x2 | 0x1
        nowhere = _Overlapped()
        if _lock_file(msvcrt.get_osfhandle(fd), exclusive_and_at_once, 0, 1, 0, ctypes.byref(nowhere)):
            return True
        code = ctypes.get_last_error()
        if code in (33, 997):  # ERROR_LOCK_VIOLATION, ERROR_IO_PENDING
            return False
        raise ctypes.WinError(code)

    def _is_current(_fd, _path):
        return True

    def _let_share(_fd, _path):
        """What is made in a folder inherits who may use it."""

    def _let_share_folder(_path):
        """The same for a folder."""

    def _other_owner(_path):
        return None

else:
    import fcntl
    import pwd

    def _start_time(pid):
        """When the process was created, in clock ticks since boot."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
        except (FileNotFoundError, ProcessLookupError):
            raise _Hidden() if _exists(pid) else _Gone()
        except OSError:
            raise _Hidden()
        # The second field is the program's name in parentheses and may hold anything.
        fields = text[text.rindex(b")") + 1:].split()
        # A zombie has ended, except where only the first of several threads has.
        if fields[0] in (b"Z", b"X") and int(fields[17]) <= 1:
            raise _Gone()
        return int(fields[19])

    def _exists(pid):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True

    def _describe(pid):
        """Whether the process is a Python, the file names among its arguments, and its start."""
        ticks = _start_time(pid)
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                name = file.read().strip()
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().decode("utf-8", "replace").split("\0")
            with open("/proc/stat", encoding="ascii") as file:
                boot = next(int(line.split()[1]) for line in file if line.startswith("btime "))
        except FileNotFoundError:
            raise _Gone()
        except OSError:
            raise _Hidden()
        since = boot + ticks / os.sysconf("SC_CLK_TCK")
        return name.lower().startswith("py"), [_file_name(word) for word in words], since

    def _boot_id():
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:
            return "unknown"

    def _pid_namespace():
        try:
            return os.stat("/proc/self/ns/pid").st_ino
        except OSError:
            return None

    def _user():
        return _name_of_user(os.getuid())

    def _name_of_user(uid):
        try:
            return pwd.getpwuid(uid).pw_name
        except KeyError:
            return str(uid)

    def _other_owner(path):
        """To whom a file belongs, if not to this process's user."""
        owner = os.lstat(path).st_uid
        return None if owner == os.geteuid() else _name_of_user(owner)

    def _let_share(fd, path):
        """Lets those who may write to the folder of a file that was just made there use it, whatever
        the umask: otherwise the first of them would lock out the others. In a folder where each keeps
        his own, such as /tmp, nothing is changed."""
        try:
            folder = os.stat(os.path.dirname(path) or ".").st_mode
            writers = folder & 0o022
            if not writers or folder & stat.S_ISVTX:
                return
            made = os.fstat(fd).st_mode
            mode = made | writers | writers << 1 | (writers >> 1 if stat.S_ISDIR(made) else 0)
            if mode != made:
                os.fchmod(fd, stat.S_IMODE(mode))
        except OSError:
            pass  # not every disk knows modes; what is denied to the others then is said to them

    def _let_share_folder(path):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return  # as above
        try:
            _let_share(fd, path)
        finally:
            os.close(fd)

    # Never through a symbolic link, and never waiting for the other end of a FIFO.
    _SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

    def _open_guard(path):
        while True:
            try:
                return _regular(os.open(path, os.O_RDWR | _SAFE), path)
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    raise
                # Another user's guard, or one on a disk that has become read-only, can be locked
                # without being writable.
                return _regular(os.open(path, os.O_RDONLY | _SAFE), path)
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFE, 0o666)
            except FileExistsError:
                continue  # made by somebody else meanwhile
            _let_share(fd, path)
            return fd

    def _open_for_append(path):
        return _regular(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SAFE, 0o666), path)

    def _open_for_reading(path):
        return _regular(os.open(path, os.O_RDONLY | _SAFE), path)

    def _try_lock(fd):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            return False

    def _is_current(fd, path):
        try:
            return os.path.samestat(os.fstat(fd), os.lstat(path))
        except FileNotFoundError:
            return False


def _file_name(path):
    return re.split(r"[/\\]", path)[-1]


def _regular(fd, path):
    """Returns `fd`, or closes it and fails if `path` is a link, a folder or anything else."""
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode) and not _is_link(os.lstat(path)):
            return fd
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    except BaseException:
        os.close(fd)
        raise


def _is_link(found):
    """Whether it is a symbolic link, or a junction of Windows."""
    return stat.S_ISLNK(found.st_mode) or bool(getattr(found, "st_reparse_tag", 0) & 0x20000000)


def _why(error, path):
    """What an operation on a file failed for, made plain: "Too many levels of symbolic links" is a
    link, "No such device or address" a FIFO, and whoever is denied learns by whom."""
    text = error.strerror or str(error)
    try:
        found = os.lstat(path)
        if _is_link(found):
            return "it is a symbolic link"
        is_odd = not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode)
        if is_odd and not isinstance(error, NotADirectoryError):
            return "it is not a regular file"
    except OSError:
        pass  # it is not there, or nobody lets us see
    if isinstance(error, PermissionError):
        for one in (path, *path.parents):
            try:
                owner = _other_owner(one)
            except OSError:
                continue
            return f"{text}; {one} belongs to user '{owner}'" if owner else text
    return text


def _retried(operation, *arguments):
    """Calls a file operation that a virus scanner's or a reader's open file may block for a moment."""
    # Replacing and removing wait longer: many may look at a record at once. That access is denied
    # (5) when opening is mostly final, but a file that is being deleted looks like this, too.
    changes = operation in (os.replace, os.unlink)
    tries = dict.fromkeys((5, 32, 33, 303), 300) if changes else {5: 40, 32: 200, 33: 200, 303: 200}
    for tried in itertools.count(1):
        try:
            return operation(*arguments)
        except OSError as error:
            if tried >= tries.get(getattr(error, "winerror", None), 0):
                raise
            time.sleep(0.01)


# --- Names and resources ---------------------------------------------------------------------------

def _check_name(name):
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name):
        raise LockNameError(
            f"{name!r} is no lock name; use 1 to 64 letters, digits, `.`, `_` and `-`")
    device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", name.lower())
    if device or name.startswith(".") or name.endswith("."):
        raise LockNameError(
            f"{name!r} is no lock name; it must be no Windows device and neither start nor end with a dot")
    return name


def _check_account(account):
    if account is None:
        return None
    text = str(account).strip()
    if not 1 <= len(text) <= 64 or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text):
        raise LockNameError(f"{account!r} is no account; use 1 to 64 printable characters")
    return text


def _role(key):
    prefix, separator, _ = key.partition("_")
    return prefix if separator and prefix in ("brain", "watchdog") else key


def _resources(name, account):
    key = name.lower()
    resources = [f"name/{key}"]
    if account is not None:
        resources.append(f"account/{account.lower()}/{_role(key)}")
    return sorted(resources)


def _guard_path(folder, resource):
    kind, _, rest = resource.partition("/")
    hashed = hashlib.sha256(resource.encode()).hexdigest()[:32]
    return folder / ".guards" / (f"name@{rest}" if kind == "name" else f"{kind}@{hashed}")


# --- Records -----------------------------------------------------------------------------------------

class _Found:
    """A record file: its name, what it holds, and how old it is."""

    def __init__(self, path):
        self.path = path
        self.name = path.name[:-len(".lock")]
        self.record = None  # the JSON object, unless it is corrupt or hidden
        self.is_hidden = False
        self.why_hidden = None
        self.age = 0.0
        try:
            fd = _retried(_open_for_reading, path)
            with open(fd, "rb") as file:
                data = file.read(RECORD_LIMIT + 1)
            self.age = abs(time.time() - os.lstat(path).st_mtime)
            self.record = _parse(data)
        except FileNotFoundError:
            raise
        except OSError as error:
            # Another user's record, or one for which the system lacks what it takes, may name
            # somebody who lives. What is no file names nobody.
            self.is_hidden = True
            self.why_hidden = _why(error, path)
            try:
                found = os.lstat(path)
                self.age = abs(time.time() - found.st_mtime)
                self.is_hidden = stat.S_ISREG(found.st_mode)
            except OSError:
                pass

    def is_old(self):
        return "version" not in self.record

    def text(self, key):
        value = (self.record or {}).get(key)
        return None if value is None or isinstance(value, (bool, dict, list)) else str(value)

    def host(self):
        return self.text("host") or (self.text("hostname") if self.record and self.is_old() else None)

    def resources(self):
        resources = set()
        try:
            name = _check_name(self.name)
            resources.update(_resources(name, None))
            if self.record and self.is_old():
                resources.update(_resources(name, _check_account(self.text("account"))))
        except LockNameError:
            pass
        if self.record and not self.is_old():
            resources.update(self.record["resources"])
        return resources

    def is_ours(self):
        return (
            self.record is not None and not self.is_old() and self.record["pid"] == os.getpid()
            and self.record["started"] == _own_start() and self.record["boot_id"] == _boot_id())

    def state(self):
        """`held`, `legacy` (held by the old module), `foreign`, `stale` or `corrupt`."""
        if self.record is None:
            return "held" if self.is_hidden else "corrupt"
        same_host = (self.host() or "").lower() == socket.gethostname().lower()
        if self.is_old():
            if self.host() and not same_host:
                return "foreign"
            return "legacy" if self._is_old_holder() else "stale"
        # What can't be read is neither ours nor another's.
        here, there = _boot_id(), self.record["boot_id"]
        is_known = all(id and not id.endswith("unknown") for id in (here, there))
        same_boot = is_known and here == there
        if not (same_boot or same_host) or self.record.get("pid_namespace") != _pid_namespace():
            return "foreign"
        if is_known and not same_boot:
            return "stale"
        try:
            return "held" if _start_time(self.record["pid"]) == self.record["started"] else "stale"
        except _Gone:
            return "stale"
        except _Hidden:
            return "held"

    def _is_old_holder(self):
        """An old record knows no start time: its holder is a Python that was started before the
        record was written; one that runs the script of that name is it whatever the clock says."""
        try:
            is_python, files, since = _describe(self.record["pid"])
        except _Gone:
            return False
        except _Hidden:
            return True
        if not is_python:
            return False
        script = f"{self.text('name')}.py".lower()
        if any(file.lower() == script for file in files):
            return True
        written = _timestamp(self.text("timestamp"))
        return written is None or since <= written + CLOCK_SLACK

    def holder(self):
        """`PID 4711 (account 1234567, since 2026-11-02 21:04:05, host TRADER-PC)`"""
        if self.is_hidden:
            return f"a process whose record can't be read ({self.why_hidden})"
        if self.record is None:
            return "a process whose record is missing or can't be read"
        since = _local(self.text("timestamp") or "unknown")
        account = self.text("account") or "none"
        host = self.host() or "unknown"
        return f"PID {self.record['pid']} (account {account}, since {since}, host {host})"


def _parse(data):
    """Returns the object that a record file holds, or None if it names no holder."""
    try:
        record = json.loads(data.decode("utf-8-sig")) if len(data) <= RECORD_LIMIT else None
        # Python also reads NaN and halves of characters, which are not JSON.
        json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None

    def is_text(key):
        return isinstance(record.get(key), str)

    def is_number(key, bits):
        value = record.get(key)
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**bits

    if not is_number("pid", 32) or record["pid"] == 0:
        return None
    if "version" in record:
        texts = all(map(is_text, ("name", "timestamp", "host", "boot_id")))
        numbers = is_number("version", 32) and is_number("started", 64)
        nullable = all(
            record.get(key) is None or (is_number(key, bits) if bits else is_text(key))
            for key, bits in (("account", 0), ("user", 0), ("program", 0), ("token", 0),
                              ("pid_namespace", 64), ("wrapper_pid", 32)))
        resources = isinstance(record.get("resources"), list)
        if not (texts and numbers and nullable and resources
                and all(isinstance(one, str) for one in record["resources"])):
            return None
    return record


def _timestamp(text):
    """Reads an ISO 8601 time as seconds since 1970; without an offset it is local time."""
    try:
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text)).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _local(text):
    """A time as text shows it: local, `2026-11-28 22:37:24`. What is no time stays as it is written."""
    written = _timestamp(text)
    return text if written is None else datetime.fromtimestamp(written).strftime("%Y-%m-%d %H:%M:%S")


def _now():
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def _program():
    return os.path.basename(sys.argv[0] if sys.argv and sys.argv[0] else sys.executable)


def _own_start():
    try:
        return _start_time(os.getpid())
    except (_Gone, _Hidden) as error:
        raise LockError(
            "cannot tell when this process was started; see whether /proc is there, and whether it has too many open files"
        ) from error


def _create(folder):
    for one in (folder, folder / ".guards"):
        try:
            if not _is_folder(one):
                one.mkdir(parents=True, exist_ok=True)
                _let_share_folder(one)
        except OSError as error:
            raise LockError(f"cannot use lock directory {one}: {_why(error, one)}; {SHARE_HINT}") from error


def _is_folder(path):
    """Whether the folder is there; a link to one would move the locks elsewhere, and is refused."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(found.st_mode) or _is_link(found):
        raise NotADirectoryError(errno.ENOTDIR, "it is not a directory", str(path))
    return True


def _records(folder):
    """Reads all records. A folder that is not there holds none."""
    found = []
    try:
        names = sorted(os.listdir(folder)) if _is_folder(folder) else []
    except FileNotFoundError:
        return found
    except OSError as error:
        raise LockError(f"cannot use lock directory {folder}: {_why(error, folder)}; {SHARE_HINT}") from error
    for name in names:
        if name.endswith(".lock"):
            try:
                found.append(_Found(folder / name))
            except FileNotFoundError:
                pass  # released between listing and reading
    return found


_counter = itertools.count()


def _write(folder, record):
    """Writes a record in one step: readers see the old one or the new one, nothing between."""
    path = folder / f"{record['name']}.lock"
    temporary = folder / f".{record['name']}.{os.getpid()}.{next(_counter)}.tmp"
    try:
        try:
            _retried(os.unlink, temporary)  # left by a process that had this pid before and is gone
        except FileNotFoundError:
            pass
        with open(temporary, "x", encoding="utf-8") as file:
            _let_share(file.fileno(), temporary)
            json.dump(record, file, indent=2)
        _retried(os.replace, temporary, path)
    except OSError as error:
        try:
            _retried(os.unlink, temporary)
        except OSError:
            pass  # cleared with the stale records
        raise LockError(
            f"cannot write record {path}: {_why(error, path)}; see who may write there and whether the disk is full"
        ) from error


def _latch(folder):
    """Why every start is forbidden, and who said so; None if nothing forbids it. A latch that is
    there but can't be read forbids it, too."""
    try:
        with open(_retried(_open_for_reading, folder / "LATCH"), "rb") as file:
            data = file.read(RECORD_LIMIT + 1)
        if len(data) > RECORD_LIMIT:
            raise ValueError(f"it is larger than {RECORD_LIMIT // 1024} KiB")
        latch = json.loads(data.decode("utf-8-sig"))
        by, since, host = (str(latch.get(key) or "unknown") for key in ("by", "since", "host"))
        since = _local(since)
        return f"{latch['reason']} (by {by}, since {since}, host {host})"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, AttributeError, KeyError) as error:
        return f"the latch is there but can't be read ({error})"


def _remove(path):
    try:
        _retried(os.unlink, path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise LockError(f"cannot remove record {path}: {_why(error, path)}; see who may write there") from error


# --- History -----------------------------------------------------------------------------------------

def _tell(folder, event, name, pid=None, account=None, detail=None):
    """Appends one line to the history. What happens to locks never depends on whether that works."""
    entry = {
        "time": _now(), "event": event, "name": name, "pid": pid, "account": account, "detail": detail,
        "by": _program(), "by_pid": os.getpid(), "user": _user(), "host": socket.gethostname(),
    }
    path = folder / "history.jsonl"
    try:
        fd = _retried(_open_for_append, path)
        try:
            before = os.fstat(fd)
            if before.st_nlink > 1:
                # What else has that name, too, could be somebody else's.
                raise OSError(errno.EINVAL, "it is a hard link, so it may be another file; remove it", str(path))
            if before.st_size == 0:
                _let_share(fd, path)
            line = json.dumps(entry).encode() + b"\n"
            if os.write(fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            full = os.fstat(fd).st_size > HISTORY_LIMIT
        finally:
            os.close(fd)
        if full:
            _rotate(folder, path)
    except OSError as error:
        print(f"process_lock: cannot write history {path}: {_why(error, path)}", file=sys.stderr)
    except LockError as error:
        print(f"process_lock: {error}", file=sys.stderr)


def _rotate(folder, path):
    guard = _take_guard(folder / ".guards" / "history")
    if guard is not None:
        try:
            if os.stat(path).st_size > HISTORY_LIMIT:
                _retried(os.replace, path, folder / "history.1.jsonl")
        finally:
            os.close(guard)


# --- The lock ----------------------------------------------------------------------------------------

_mutex = threading.RLock()
_held = []  # the ProcessLocks that this process holds
_claimed = {}  # folder -> the record that a wrapper holds for this process


def _take_guard(path):
    """Returns a locked descriptor, or None if somebody else holds the guard."""
    try:
        while True:
            fd = _retried(_open_guard, path)
            try:
                if not _try_lock(fd):
                    os.close(fd)
                    return None
                # Between opening and locking the file may have been deleted and made anew: then the
                # lock is on a file that nobody else will ever see.
                if _is_current(fd, path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
    except OSError as error:
        raise LockError(f"cannot lock guard {path}: {_why(error, path)}; {SHARE_HINT}") from error


def _claim(folder):
    """Takes over the lock that qc-lock or qc-launch holds for this process, if there is one."""
    token = os.environ.pop(TOKEN_VARIABLE, None)  # good once, and for nobody that we start
    if not token or "/" not in token:
        return
    try:
        found = _Found(folder / f"{_check_name(token.partition('/')[0])}.lock")
    except (FileNotFoundError, LockNameError):
        return
    record = found.record
    if record is None or found.is_old() or record.get("token") != token or found.state() != "held":
        return
    # The recorded process is this one, or the virtual environment's stub that started it.
    if record["pid"] not in (os.getpid(), os.getppid()):
        return
    record.update(pid=os.getpid(), started=_own_start(), token=None, program=_program(), user=_user())
    _write(folder, record)
    _claimed[str(folder)] = record


class ProcessLock:
    """A named lock, and with `account` also that account in the role that the name speaks of."""

    def __init__(self, name, account=None):
        self.name = _check_name(name)
        self.account = _check_account(account)
        self._guards = None  # descriptors, while the lock is held
        self._folder = None
        self._resources = []
        self._owns_record = False

    def acquire(self):
        """Takes the lock. Says why on standard error and returns False if somebody else holds it."""
        try:
            self._acquire()
        except LockHeldError as refusal:
            print(refusal, file=sys.stderr)
            return False
        return True

    def release(self):
        """Gives the lock back. Does nothing if it is not held."""
        with _mutex:
            if self._guards is None:
                return
            guards, self._guards = self._guards, None
            _held.remove(self)
            try:
                # First the record, so that nobody ever sees a free lock with a fresh record.
                if self._owns_record:
                    _remove(self._folder / f"{self.name}.lock")
                else:
                    # What the wrapper holds stays; what this lock had added to it goes.
                    _write(self._folder, _claimed[str(self._folder)])
            finally:
                _tell(self._folder, "released", self.name, os.getpid(), self.account)
                for guard in guards:
                    os.close(guard)

    def get_lock_info(self):
        """Returns the record of this lock as a dict, or None if there is none that can be read."""
        for found in _records(_lock_folder()):
            if found.name.lower() == self.name.lower():
                return found.record
        return None

    def __enter__(self):
        self._acquire()
        return self

    def __exit__(self, *_):
        self.release()
        return False

    def _acquire(self):
        with _mutex:
            if self._guards is not None:
                return
            folder = _lock_folder()
            _create(folder)
            _claim(folder)
            began, pause = time.monotonic(), PAUSE
            while True:
                refusal, patience = self._attempt(folder)
                if refusal is None:
                    break
                if time.monotonic() - began >= patience:
                    _tell(folder, "blocked", *refusal.told)
                    raise refusal
                time.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            _held.append(self)
            _release_at_end()

    def _attempt(self, folder):
        """Tries once; returns the refusal, and for how long to go on trying."""
        resources = _resources(self.name, self.account)
        claimed = _claimed.get(str(folder))
        granted = set(claimed["resources"]) if claimed else set()
        in_use = {one for lock in _held for one in lock._resources}
        guards, paths = [], []
        done = False
        try:
            for resource in resources:
                if resource not in granted:
                    path = _guard_path(folder, resource)
                    guard = _take_guard(path)
                    if guard is None:
                        return self._explain(folder, resource)
                    guards.append(guard)
                    paths.append(path)
                elif resource in in_use:
                    return self._explain(folder, resource)
            # Looked at with the guards in hand; and once more when the record is there, for a latch
            # that is set in between.
            latch = _latch(folder)
            if latch is not None:
                return self._forbidden(latch), 0
            left_over = []
            for found in _records(folder):
                resource = next((one for one in resources if one in found.resources()), None)
                if resource is None:
                    continue
                state = found.state()
                if state == "corrupt" and found.age < SETTLE:
                    # An old module may be writing it right now.
                    return self._refused(folder, resource, None), SETTLE * 2
                if state in ("stale", "corrupt") or found.is_ours():
                    left_over.append(found)
                else:
                    # A process that is ending frees its guards a moment before it is gone. One that
                    # has lost them in another way is still there when that moment is over.
                    patience = SETTLE if state == "held" and not found.is_hidden else 0
                    return self._refused(folder, resource, found), patience
            self._record(folder, resources, claimed, left_over)
            latch = _latch(folder)
            if latch is not None:
                self._withdraw(folder, claimed)
                return self._forbidden(latch), 0
            if not all(map(_is_current, guards, paths)):
                # Deleted before the record was there, a guard has kept nobody out. Whoever took a new
                # one meanwhile holds the lock; whoever takes one from now on finds the record.
                self._withdraw(folder, claimed)
                return self._refused(folder, resources[0], None), SETTLE
            _tell(folder, "acquired", self.name, os.getpid(), self.account)
            self._guards, self._folder, self._resources = guards, folder, resources
            done = True
            return None, 0
        finally:
            if not done:
                for guard in guards:
                    os.close(guard)

    def _record(self, folder, resources, claimed, left_over):
        """Writes the record, over those that the dead have left."""
        if claimed and claimed["name"].lower() == self.name.lower():
            # The record that names this process already; its wrapper removes it.
            self._owns_record = False
            added = {"account": claimed.get("account") or self.account}
            added["resources"] = sorted({*claimed["resources"], *resources})
            _write(folder, {**claimed, **added})
        else:
            self._owns_record = True
            for found in left_over:
                if found.name.lower() == self.name.lower():
                    # In another case it is another file, which the new record may not replace.
                    if found.name != self.name:
                        _remove(found.path)
                    detail = "the record was corrupt"
                    if found.record is not None:
                        detail = f"from {found.holder()}, which has ended"
                    pid = found.record["pid"] if found.record else None
                    _tell(folder, "reclaimed", self.name, pid, found.text("account"), detail)
            _write(folder, {
                "pid": os.getpid(), "name": self.name, "account": self.account, "timestamp": _now(),
                "host": socket.gethostname(), "version": 1, "started": _own_start(), "boot_id": _boot_id(),
                "pid_namespace": _pid_namespace(), "resources": resources, "wrapper_pid": None,
                "user": _user(), "program": _program(), "token": None,
            })

    def _withdraw(self, folder, claimed):
        """Takes back what `_record` has written, unless it is somebody else's by now."""
        if not self._owns_record:
            _write(folder, claimed)
            return
        for found in _records(folder):
            if found.name == self.name and found.is_ours():
                _remove(found.path)

    def _explain(self, folder, resource):
        """Finds out who holds `resource`, and for how long that may still change."""
        states = [(one, one.state()) for one in _records(folder) if resource in one.resources()]
        # The dead may have left a record that lists it, too; the living count first.
        for found, state in states:
            if state in ("held", "legacy", "foreign"):
                return self._refused(folder, resource, found), 0
        state = states[0][1] if states else "corrupt"
        # A new holder is writing its record, or the system is late, or a process that the dead one
        # had started has inherited the lock.
        return self._refused(folder, resource, None), LATE_RELEASE if state == "stale" else SETTLE

    def _forbidden(self, latch):
        refusal = LockLatchedError(
            f"Lock '{self.name}' is not given, because every start is forbidden: {latch}\n"
            "When trading may start again, run `qc-launch unlatch`.")
        refusal.told = (self.name, os.getpid(), None, f"every start is forbidden: {latch}")
        return refusal

    def _refused(self, folder, resource, found):
        holder = found.holder() if found else "a process whose record is missing or can't be read"
        own = f"name/{self.name.lower()}"
        same_lock = resource == own or (found is not None and own in found.resources())
        collision = "" if same_lock else f"; both need '{resource}'"
        hint = SHUTDOWN_HINT
        if found and found.state() == "foreign":
            hint = f"Stop it on {found.host()}; `qc-lock clear-all` removes the record if nothing runs there."
        refusal = LockHeldError(f"Lock '{self.name}' is held by {holder}{collision}\n{hint}")
        refusal.told = (self.name, os.getpid(), found.text("account") if found else None, f"held by {holder}")
        return refusal


# --- The end of the process ----------------------------------------------------------------------------

_end_is_watched = False


def _release_at_end():
    """Gives the locks back also when the process is asked to end."""
    global _end_is_watched
    if _end_is_watched:
        return
    _end_is_watched = True
    atexit.register(_release_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)
    if threading.current_thread() is threading.main_thread():
        # SIGBREAK is what Windows makes of a console that closes.
        for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end_by_signal)


def _end_by_signal(number, _frame):
    _release_all()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def _release_all():
    for lock in list(_held):
        try:
            lock.release()
        except LockError as error:
            print(f"process_lock: {error}", file=sys.stderr)


def _forget_all():
    """A forked child shares the locks, but must not give back what is its parent's."""
    for lock in _held:
        lock._guards = None
    _held.clear()
    _claimed.clear()


# --- Looking and clearing ----------------------------------------------------------------------------

def list_active_locks():
    """Returns the records of all locks that are, or may be, held, each with its `state`."""
    active = []
    for found in _records(_lock_folder()):
        state = found.state()
        if state in ("held", "legacy", "foreign"):
            old_keys = {key: found.text(key) for key in ("name", "account", "timestamp", "host")}
            active.append({"pid": None, **(found.record or {}), **old_keys, "name": found.name, "state": state})
    return active


def clear_stale_locks():
    """Removes the records of holders that have ended, and corrupt ones; returns how many."""
    return _clear(("stale", "corrupt"), "stale")


def clear_all_locks():
    """Removes all records but those of processes that live on this machine; returns how many."""
    return _clear(("stale", "corrupt", "foreign"), "forced")


def _clear(states, reason):
    folder = _lock_folder()
    count = 0
    for found in _records(folder):
        if found.state() in states and _remove_if(folder, found, states):
            pid = found.record["pid"] if found.record else None
            _tell(folder, "cleared", found.name, pid, found.text("account"), reason)
            count += 1
    if folder.is_dir():
        for path in folder.glob(".*.tmp"):
            try:
                if time.time() - os.lstat(path).st_mtime > LEFTOVER:
                    os.unlink(path)
            except OSError:
                pass  # it only takes up room
    return count


def _remove_if(folder, found, states):
    """Removes a record with its guard in hand, so that nobody can be taking the lock meanwhile."""
    guard = None
    try:
        resource = f"name/{_check_name(found.name).lower()}"
        _create(folder)
        guard = _take_guard(_guard_path(folder, resource))
        if guard is None:
            return False
    except LockNameError:
        pass  # no lock has this name, so it has no guard
    try:
        if _Found(found.path).state() not in states:
            return False
        _remove(found.path)
        return True
    except FileNotFoundError:
        return True
    finally:
        if guard is not None:
            os.close(guard)


def main(words=None):
    """The command line of the old module."""
    global LOCK_DIR
    parser = argparse.ArgumentParser(prog="process_lock.py", description="Look at the fleet's locks.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="list the active locks")
    what.add_argument("--clear-stale", action="store_true", help="remove the records of ended processes")
    what.add_argument("--clear-all", action="store_true", help="remove all records but those of living processes")
    parser.add_argument("--lock-dir", metavar="DIR", help="folder of the locks, instead of the fleet's .locks")
    parser.add_argument("--json", action="store_true", help="print JSON (with --list)")
    options = parser.parse_args(words)
    if options.lock_dir:
        LOCK_DIR = Path(options.lock_dir)
    try:
        if options.clear_stale:
            print(f"Cleared {clear_stale_locks()} stale locks.")
        elif options.clear_all:
            print(f"Cleared {clear_all_locks()} locks.")
        else:
            locks = list_active_locks()
            if options.json:
                print(json.dumps({"version": 1, "locks": locks}, indent=2))
            elif not locks:
                print("No active locks.")
            for lock in [] if options.json else locks:
                account = lock["account"] or "none"
                print(f"{lock['name']}: PID {lock['pid']}, account {account}, since {_local(lock['timestamp'])}, {lock['state']}")
    except LockError as error:
        print(f"process_lock: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
