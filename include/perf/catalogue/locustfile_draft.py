"""A draft of a service from a locustfile: what of it can be said as data. Its source is read, and never executed.

A task with one request becomes an endpoint, one with several a journey. Weights are the shares that the tasks have in
Locust: that of the class times that of the task in its class.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from typing import Any

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
TASK_SETS = ("TaskSet", "SequentialTaskSet", "MarkovTaskSet")
IGNORED = ("name", "catch_response", "timeout", "context", "verify", "stream")
"""Arguments of a request that the catalogue has no need of, or has elsewhere."""

MAX_WEIGHT = 1000


class NotTranslatable(Exception):
    """A part of the code cannot be said as data.

    Attributes:
        line: of the source.
    """

    def __init__(self, node: ast.AST, reason: str) -> None:
        super().__init__(reason)
        self.line = getattr(node, "lineno", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Untranslated:
    """A part of a locustfile that is not in the draft.

    Attributes:
        where: such as ``Trader.order``.
    """

    line: int
    where: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.where}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocustfileDraft:
    """What of a locustfile can be said as data.

    Attributes:
        endpoints: entries of ``endpoints``, as they stand in YAML.
        host: the first that a class has; ``None`` without one.
        left_out: what is not in ``endpoints``, by line.
    """

    endpoints: Sequence[Mapping[str, Any]]
    host: str | None
    left_out: Sequence[Untranslated]


@dataclass(slots=True)
class _Task:
    share: Fraction
    name: str
    requests: list[dict[str, Any]]


@dataclass(slots=True)
class _Notes:
    left_out: list[Untranslated] = field(default_factory=list)

    def add(self, node: ast.AST, where: str, reason: str) -> None:
        self.left_out.append(Untranslated(line=getattr(node, "lineno", 0), where=where, reason=reason))


def draft_of(module: ast.Module) -> LocustfileDraft:
    """Return what of a locustfile can be said as data."""
    notes = _Notes()
    tasks: list[_Task] = []
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    users = [found for found in classes if _is_user(found) and not _constant_of(found, "abstract")]
    total = sum(map(_weight_of_class, users)) or 1
    for found in classes:
        if set(_names_of_bases(found)) & set(TASK_SETS):
            notes.add(found, found.name, "task sets are not translated; write a journey, or keep the locustfile")
    for user in users:
        tasks += _tasks_of(user, share=Fraction(_weight_of_class(user)) / total, notes=notes)
    hosts = [host for user in users if isinstance(host := _constant_of(user, "host"), str)]
    return LocustfileDraft(
        endpoints=_entries_of(tasks),
        host=hosts[0] if hosts else None,
        left_out=sorted(notes.left_out, key=lambda left: left.line),
    )


def _names_of_bases(found: ast.ClassDef) -> list[str]:
    return [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in found.bases]


def _is_user(found: ast.ClassDef) -> bool:
    return any(name.endswith("User") for name in _names_of_bases(found))


def _constant_of(found: ast.ClassDef, name: str) -> Any:
    """Return the constant that a class gives an attribute; ``None`` if it has none."""
    for node in found.body:
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == name for target in node.targets):
            return node.value.value if isinstance(node.value, ast.Constant) else None
    return None


def _weight_of_class(found: ast.ClassDef) -> int:
    weight = _constant_of(found, "weight")
    return weight if isinstance(weight, int) and weight > 0 else 1


def _tasks_of(user: ast.ClassDef, *, share: Fraction, notes: _Notes) -> Iterator[_Task]:
    """Yield the tasks of a class that can be said as data, and note the others."""
    methods = [node for node in user.body if isinstance(node, ast.FunctionDef)]
    weights = {node: weight for node in methods if (weight := _weight_of_task(node))}
    _note_what_is_no_task(user, notes)
    total = sum(weights.values())
    for node, weight in weights.items():
        where = f"{user.name}.{node.name}"
        try:
            requests = _requests_of(node)
        except NotTranslatable as err:
            notes.left_out.append(Untranslated(line=err.line, where=where, reason=str(err)))
            continue
        for call in _calls_in(node):
            if any(keyword.arg == "catch_response" for keyword in call.keywords):
                notes.add(call, where, "the check of the answer is not translated; write expect")
        yield _Task(share * weight / total, node.name, requests)


def _note_what_is_no_task(user: ast.ClassDef, notes: _Notes) -> None:
    """Note what a class has besides tasks and that sends requests."""
    for node in user.body:
        where = f"{user.name}.{getattr(node, 'name', 'tasks')}"
        if isinstance(node, ast.ClassDef):
            notes.add(node, where, "task sets are not translated; write a journey, or keep the locustfile")
        elif isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "tasks" for target in node.targets):
            notes.add(node, where, "a list of tasks is not translated; decorate each with @task")
        elif isinstance(node, ast.FunctionDef) and node.name in ("on_start", "on_stop") and any(_calls_in(node)):
            notes.add(
                node, where, "requests outside tasks are not translated; use login, or the first step of a journey"
            )


def _weight_of_task(node: ast.FunctionDef) -> int:
    """Return the weight of a task; 0 for a method that is none."""
    for decorator in node.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) != "task":
            continue
        given = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
        weight = given.value if isinstance(given, ast.Constant) else 1
        return weight if isinstance(weight, int) and weight > 0 else 1
    return 0


def _calls_in(node: ast.AST) -> Iterator[ast.Call]:
    """Yield the requests of a function, in the order of the source."""
    calls = [found for found in ast.walk(node) if isinstance(found, ast.Call) and _is_request(found)]
    yield from sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _is_request(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in (*METHODS, "request"):
        return False
    owner = function.value
    return isinstance(owner, ast.Attribute) and owner.attr == "client"


def _requests_of(node: ast.FunctionDef) -> list[dict[str, Any]]:
    """Return the requests of a task, which must follow one another whatever happens.

    Raises:
        NotTranslatable: it does more than that.
    """
    for inner in ast.walk(node):
        if isinstance(inner, (ast.For, ast.While, ast.If, ast.Match, ast.Try)) and list(_calls_in(inner)):
            kind = type(inner).__name__.lower()
            raise NotTranslatable(inner, f"a request inside {kind} depends on the code")
    calls = list(_calls_in(node))
    if not calls:
        raise NotTranslatable(node, "it has no request of self.client in its own code")
    return [_request_of(call) for call in calls]


def _request_of(call: ast.Call) -> dict[str, Any]:
    assert isinstance(call.func, ast.Attribute)  # noqa: S101 - `_is_request` checks it
    values = list(call.args)
    method = call.func.attr.upper()
    if method == "REQUEST":
        if not values:
            raise NotTranslatable(call, "its method is not constant")
        method = str(_literal(values.pop(0), "its method")).upper()
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    path = values[0] if values else keywords.pop("url", None)
    if path is None or len(values) > 1 or None in keywords:
        raise NotTranslatable(call, "its arguments are not all named")
    given: dict[str, Any] = {"method": method, "path": _path(path)}
    if "name" in keywords:
        given["name"] = str(_literal(keywords["name"], "its name"))
    for argument, value in keywords.items():
        if argument not in IGNORED:
            given |= _setting(str(argument), value)
    return given


def _setting(argument: str, value: ast.expr) -> dict[str, Any]:
    """Return the setting of an endpoint that an argument of a request is."""
    match argument:
        case "json":
            return {"body": _escaped(_literal(value, "its json"))}
        case "params":
            return {"query": _escaped(_literal(value, "its params"))}
        case "headers":
            return {"headers": _escaped(_literal(value, "its headers"))}
        case "data":
            data = _literal(value, "its data")
            return {"form" if isinstance(data, dict) else "text": _escaped(data)}
        case "allow_redirects":
            return {}
    raise NotTranslatable(value, f"the argument {argument} has no setting")


def _path(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        raise NotTranslatable(node, "its path has variables; write a placeholder, such as $uuid, or capture the value")
    path = _literal(node, "its path")
    if not isinstance(path, str) or not path.startswith("/"):
        raise NotTranslatable(node, "its path is not a constant that begins with /")
    return str(_escaped(path))


def _literal(node: ast.expr, what: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError) as err:
        raise NotTranslatable(node, f"{what} is not constant; write a placeholder, such as $price") from err


def _escaped(value: Any) -> Any:
    """Double dollar signs, which would begin a placeholder."""
    match value:
        case str():
            return value.replace("$", "$$")
        case dict():
            return {key: _escaped(item) for key, item in value.items()}
        case list() | tuple():
            return [_escaped(item) for item in value]
    return value


def _entries_of(tasks: Sequence[_Task]) -> list[dict[str, Any]]:
    """Return the entries of ``endpoints``, with the smallest weights that keep the shares."""
    weights = _whole([task.share for task in tasks])
    entries: list[dict[str, Any]] = []
    taken: Counter[str] = Counter()
    for task, weight in zip(tasks, weights, strict=True):
        shared = {} if weight == 1 else {"weight": weight}
        if len(task.requests) == 1:
            (request,) = task.requests
            name = _unique(_slug(str(request.pop("name", "") or task.name)), taken)
            entries.append({"name": name} | shared | request)
        else:
            steps, inside = [], Counter[str]()
            for request in task.requests:
                name = _unique(_slug(str(request.pop("name", "") or request["path"].rpartition("/")[2])), inside)
                steps.append({"name": name} | request)
            entries.append({"name": _unique(_slug(task.name), taken)} | shared | {"steps": steps})
    return entries


def _whole(shares: Sequence[Fraction]) -> list[int]:
    if not shares:
        return []
    scale = reduce(math.lcm, (share.denominator for share in shares))
    whole = [int(share * scale) for share in shares]
    common = reduce(math.gcd, whole)
    whole = [number // common for number in whole]
    most = max(whole)
    return whole if most <= MAX_WEIGHT else [max(1, round(number * MAX_WEIGHT / most)) for number in whole]


def _slug(text: str) -> str:
    """Return a name in the form of the catalogue."""
    words = re.findall(r"[a-z0-9]+", text.partition("?")[0].lower())
    name = "-".join(words)[:50].strip("-")
    return name if name and name[0].isalpha() else f"request-{name}".strip("-")


def _unique(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}-{taken[name]}"
