"""What the module offers has annotations that can be read, and a syntax that Python 3.8 knows."""

import ast
import inspect
import typing

import process_lock

with open(process_lock.__file__, encoding="utf-8") as file:
    ast.parse(file.read(), feature_version=(3, 8))


def functions():
    for name in [*process_lock.__all__, "ActiveLock", "main"]:
        one = getattr(process_lock, name)
        if inspect.isclass(one):
            for own, value in vars(one).items():
                value = value.fget if isinstance(value, property) else value
                is_public = not own.startswith("_") or own in ("__init__", "__enter__", "__exit__", "__getitem__")
                if inspect.isfunction(value) and is_public:
                    yield f"{name}.{own}", value
        elif inspect.isfunction(one):
            yield name, one


count = 0
for name, function in functions():
    hints = typing.get_type_hints(function)
    wanted = set(inspect.signature(function).parameters) - {"self"} | {"return"}
    assert wanted == set(hints), (name, wanted, hints)
    count += 1
assert count > 15, count
assert typing.get_type_hints(process_lock)["LOCK_DIR"].__name__ == "Path"
assert typing.get_type_hints(process_lock.ProcessLock.acquire)["return"] is bool
