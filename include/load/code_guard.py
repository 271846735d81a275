"""What the code of a locustfile may reach: the addresses of its load, its own files, and no other process.

An audit hook (PEP 578) sees every connection, file and process that Python opens, whichever library asks for it, and
cannot be removed. It sees nothing of a library that is written in C and calls the kernel itself, such as those of gRPC
and PostgreSQL: docs/security.md says what holds those.
"""

import _posixsubprocess
import ctypes  # noqa: F401 - it opens the functions of Python itself, before anything is refused
import logging
import os
import socket
import sys
import sysconfig
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from gevent import get_hub

log = logging.getLogger("include.load")

PROCESSES = (
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"),
    "subprocess.Popen",
)
NATIVE = ("ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle")
"""The ways from Python to functions of C, whose calls no hook sees."""

OWN_FUNCTIONS = ("Py", "_Py")
"""What Python itself looks up."""

CONNECTIONS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOK_UPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")

CHANGED_PATHS = {
    **dict.fromkeys(("os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime"), 1),
    **dict.fromkeys(("os.rename", "os.link", "os.symlink"), 2),
    **dict.fromkeys(("sqlite3.connect", "shutil.rmtree"), 1),
}
"""Events that change files, and how many of their arguments are paths."""

READABLE = (
    *("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/hosts", "/etc/host.conf"),
    *("/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/mime.types"),
    *("/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/apache2/mime.types", "/etc/httpd"),
    *("/dev/null", "/dev/urandom", "/dev/random", "/sys", "/proc/stat", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/loadavg", "/proc/sys", "/proc/uptime", "/proc/version", "/proc/filesystems"),
)
"""Files of the system that programs read and that hold no secrets."""

OWN_PROCESS = (
    "schedstat",
    "stat",
    "statm",
    "status",
    "cgroup",
    "limits",
    "smaps",
    "smaps_rollup",
    "io",
    "comm",
    "task",
)
"""What a program may read about itself below /proc."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

PROJECT_CODE = Path(__file__).parents[1]


class GuardRefused(PermissionError):
    """The code of the locustfile wants to reach something that it must not."""


class CodeGuard:
    """Refuses what the code of a locustfile must not reach, from `arm` on to the end of the process.

    Args:
        host: of the service; the only name that has addresses.
        addresses, ports: the only ones that may be connected to.
        folders: where files may be read and written.
        on_breach: called with a reason in gevent's hub; it must end the load.

    Attributes:
        breach: the first attempt that ends the load; ``None`` without one.
    """

    def __init__(
        self,
        *,
        host: str,
        addresses: Collection[str],
        ports: Collection[int],
        folders: Sequence[Path],
        on_breach: Callable[[str], object] = lambda reason: None,
    ) -> None:
        self._host = host
        self._addresses = {_plain(address) for address in addresses}
        self._ports = frozenset(ports)
        self._writable = tuple(os.path.realpath(folder) for folder in folders)
        self._readable = (*self._writable, *_code_folders(), *READABLE)
        self.breach: str | None = None
        self.on_breach = on_breach
        self._checks = self._checks_by_event()

    def arm(self) -> None:
        """Begin to refuse; it cannot be undone."""
        hub: Any = get_hub()
        hub.resolver = PinnedResolver(self._host, sorted(self._addresses), refuse=self._refuse_name)
        self._waker = hub.loop.async_()
        self._waker.start(self._report_breach)
        _posixsubprocess.fork_exec = self._refuse_process  # it has no audit event
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is not None:
            check(event, arguments)

    def _checks_by_event(self) -> Mapping[str, Callable[[str, tuple[Any, ...]], None]]:
        return {
            **dict.fromkeys(PROCESSES, self._check_process),
            **dict.fromkeys(NATIVE, self._check_native),
            **dict.fromkeys(CONNECTIONS, self._check_connection),
            **dict.fromkeys(LOOK_UPS, self._check_name),
            **dict.fromkeys(CHANGED_PATHS, self._check_change),
            **dict.fromkeys(("os.kill", "os.killpg"), self._check_signal),
            "open": self._check_open,
        }

    def _check_connection(self, _: str, arguments: tuple[Any, ...]) -> None:
        address = arguments[1]
        if address is None:  # a datagram over a connected socket
            return
        if not isinstance(address, tuple) or len(address) < 2:
            raise self._breached(f"a connection to {address!r}, which is no address of a network")
        host, port = str(address[0]), address[1]
        if _plain(host) not in self._addresses or port not in self._ports:
            shown = f"[{host}]" if ":" in host else host
            addresses, ports = ", ".join(sorted(self._addresses)), ", ".join(map(str, sorted(self._ports)))
            raise self._breached(
                f"a connection to {shown}:{port}; its load may only go to {addresses} with port {ports}"
            )

    def _check_name(self, _: str, arguments: tuple[Any, ...]) -> None:
        name = arguments[0]
        text = name.decode("ascii", errors="replace") if isinstance(name, bytes) else str(name or "")
        if text and not _is_address(text) and text.lower() != self._host:
            self._refuse_name(text)

    def _refuse_name(self, name: str) -> None:
        raise self._breached(f"a look-up of the name {name!r}; its load may only go to {self._host}")

    def _check_process(self, event: str, _: tuple[Any, ...]) -> None:
        raise self._breached(f"a process of its own ({event})")

    def _refuse_process(self, *_: object, **__: object) -> int:
        raise self._breached("a process of its own (fork_exec)")

    def _check_signal(self, _: str, arguments: tuple[Any, ...]) -> None:
        if arguments[0] != os.getpid():
            raise self._breached("a signal to another process")

    def _check_native(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "ctypes.dlsym" and str(arguments[1]).startswith(OWN_FUNCTIONS):
            return
        raise self._breached(f"functions of C ({event}), whose connections cannot be checked")

    def _check_open(self, _: str, arguments: tuple[Any, ...]) -> None:
        path, mode, flags = arguments[0], arguments[1], arguments[2]
        if isinstance(path, int):
            return
        is_writing = bool(flags & WRITING) if isinstance(flags, int) else bool(set(mode or "r") & set("wax+"))
        self._check_path(path, is_writing=is_writing)

    def _check_change(self, event: str, arguments: tuple[Any, ...]) -> None:
        for path in arguments[: CHANGED_PATHS[event]]:
            if not isinstance(path, int) and path != ":memory:":
                self._check_path(path, is_writing=True)

    def _check_path(self, path: Any, *, is_writing: bool) -> None:
        real = os.path.realpath(os.fsdecode(path))
        if _is_below(real, self._writable) or real == "/dev/null":
            return
        if not is_writing and (_is_below(real, self._readable) or _is_about_itself(real)):
            return
        verb = "write" if is_writing else "read"
        log.warning("the locustfile may not %s %s: only the files of its own folder", verb, real)
        raise GuardRefused(1, f"a locustfile may not {verb} this file", real)

    def _breached(self, what: str) -> GuardRefused:
        """Keep the reason, end the load, and return the error to raise."""
        reason = f"stopped: the locustfile wanted {what}; this was refused"
        if self.breach is None:
            self.breach = reason
            log.error("%s", reason)
            self._waker.send()  # from any thread
        return GuardRefused(1, f"refused: a locustfile may not have {what}")

    def _report_breach(self) -> None:
        if self.breach is not None:
            self.on_breach(self.breach)


class PinnedResolver:
    """Resolves names for gevent: the host of the service to its checked addresses, and no other name.

    Args:
        refuse: raises for every other name.
    """

    def __init__(self, host: str, addresses: Sequence[str], *, refuse: Callable[[str], None]) -> None:
        self._host = host
        self._addresses = addresses
        self._refuse = refuse

    def getaddrinfo(
        self,
        host: Any,
        port: Any,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[tuple[Any, ...]]:
        """Return the addresses as ``socket.getaddrinfo`` does."""
        kind = socket.SocketKind(type or socket.SOCK_STREAM)
        number = 0 if port is None else int(port)
        found = []
        for text in self._addresses_of(host):
            is_six = ":" in text
            own = socket.AF_INET6 if is_six else socket.AF_INET
            if family in (0, own):
                place = (text, number, 0, 0) if is_six else (text, number)
                found.append((own, kind, proto or socket.IPPROTO_TCP, "", place))
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "the host has no such address")
        return found

    def gethostbyname(self, hostname: Any, family: int = socket.AF_INET) -> str:
        """Return the first address."""
        return str(self.getaddrinfo(hostname, 0, family)[0][4][0])

    def gethostbyname_ex(self, hostname: Any, family: int = socket.AF_INET) -> tuple[str, list[str], list[str]]:
        """Return all addresses."""
        return str(hostname), [], [str(found[4][0]) for found in self.getaddrinfo(hostname, 0, family)]

    def gethostbyaddr(self, ip_address: Any) -> tuple[str, list[str], list[str]]:
        """Return the address itself: names of addresses are not looked up."""
        return str(ip_address), [], [str(ip_address)]

    def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Return the address itself."""
        return str(sockaddr[0]), str(sockaddr[1])

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _addresses_of(self, host: Any) -> Sequence[str]:
        text = host.decode("ascii", errors="replace") if isinstance(host, bytes) else str(host or "")
        if _is_address(text):
            return [text]
        if text.lower() != self._host:
            self._refuse(text)
        return self._addresses


def _code_folders() -> tuple[str, ...]:
    """Return where Python, its packages and this project's own code are."""
    paths = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), str(PROJECT_CODE))
    return tuple(dict.fromkeys(os.path.realpath(path) for path in paths if path and path != "/"))


def _is_below(path: str, folders: Collection[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _is_about_itself(path: str) -> bool:
    parts = path.split("/")
    return parts[:2] == ["", "proc"] and len(parts) > 3 and parts[2] == str(os.getpid()) and parts[3] in OWN_PROCESS


def _plain(address: str) -> str:
    """Return an address in its shortest form, and an IPv4 address in IPv6 as itself."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(getattr(found, "ipv4_mapped", None) or found)


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True
