"""The holder of an account is named with its own folder, or with none, while it changes.

    claims.py ACCOUNT
"""

import process_lock

guard = process_lock._MachineGuard("account@test")
start = process_lock._own_start()
namespace = process_lock._pid_namespace() or 0


def by(name):
    return f"{process_lock.os.getpid()}.{start}.{namespace}{process_lock._MARK}{name}"


def holder(*looks):
    """The name and the folder of the holder; each look is what is said by whom and in which folder."""
    left = list(looks)

    def announced(text):
        names, folders = left[0]
        if f"in{process_lock._MARK}" not in text[-4:]:
            return names
        if len(left) > 1:
            del left[0]
        return folders

    process_lock._announced = announced
    pid, name, folder = guard.holder()
    assert pid == process_lock.os.getpid()
    return name, folder


one, other = ([by("A")], ["x"]), ([by("B")], ["y"])
mixed, both = ([by("A")], ["y"]), ([by("B")], ["x", "y"])
assert holder(one) == ("A", "x")
assert holder(mixed, other) == ("B", "y")
assert holder(both, other) == ("B", "y")
assert holder(both) == ("B", None)
assert holder(one, other, one, other, one) == ("A", None)
assert holder(([by("A")], [])) == ("A", None)
