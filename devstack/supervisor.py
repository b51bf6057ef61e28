"""Starts processes in order, watches them, and ends with all of them gone."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from devstack.users import Account

LAST_LINES: Final = 15
STOP_WITHIN_S: Final = 10.0
LOG_BYTES_MAX: Final = 8_000_000
_PR_SET_PDEATHSIG: Final = 1
_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(RuntimeError):
    """A process did not come up; the text says which one, why, and what it printed last."""


class Died(RuntimeError):
    """A process ended that should have gone on; the text says which one and what it printed last."""


def always() -> bool:
    """The readiness of a process that has nothing to wait for."""
    return True


@dataclass(frozen=True)
class Process:
    """One line of the process table."""

    name: str
    command: Sequence[str]
    account: Account
    environment: Mapping[str, str]
    is_ready: Callable[[], bool] = always
    ready_line: str = ""  # part of a line that the process prints once it is ready
    ready_within_s: float = 30.0
    secret: str | None = (
        None  # one line for the process's standard input: never in its arguments or environment
    )
    stop_signal: signal.Signals = signal.SIGTERM
    folder: Path = Path("/")


@dataclass
class _Running:
    process: Process
    handle: subprocess.Popen[bytes]
    batch: int  # which call of start() it came up with; they also go down together
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))
    pump: threading.Thread | None = None
    has_said_ready: bool = False

    def is_ready(self) -> bool:
        return (self.has_said_ready or not self.process.ready_line) and self.process.is_ready()


class Supervisor:
    """Owns its processes: whoever leaves the `with` block leaves none of them behind."""

    def __init__(
        self,
        *,
        log_folder: Path,
        echo: bool = True,
        out: IO[str] = sys.stdout,
        stop_within_s: float = STOP_WITHIN_S,
        held: IO[bytes] | None = None,
    ) -> None:
        """Every process inherits `held`, so that a lock on it lasts until the last of them has ended."""
        self._log_folder = log_folder
        self._stop_within_s = stop_within_s
        self._echo = echo
        self._out = out
        self._inherited = () if held is None else (held.fileno(),)
        self._running: list[_Running] = []
        self._batch = 0
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- Start ------------------------------------------------------------------------------------

    def start(self, *processes: Process) -> None:
        """Start these together and come back when all are ready; `StartFailed` names the one that is not."""
        self._batch += 1
        fresh = [self._spawn(process) for process in processes]
        deadlines = {id(each): time.monotonic() + each.process.ready_within_s for each in fresh}
        waiting = list(fresh)
        while waiting:
            for each in list(waiting):
                self._check_alive(each, StartFailed, "ended before it was ready")
                if each.is_ready():
                    waiting.remove(each)
                elif time.monotonic() > deadlines[id(each)]:
                    seconds = each.process.ready_within_s
                    raise StartFailed(self._report(each, f"was not ready after {seconds:.0f} s"))
            if waiting:
                time.sleep(0.03)
        self.check()  # nor may any that was started before be gone by now

    def _spawn(self, process: Process) -> _Running:
        parent = os.getpid()

        def follow_parent() -> None:
            # If this supervisor is killed outright, the kernel ends its children.
            _libc.prctl(_PR_SET_PDEATHSIG, process.stop_signal)
            if os.getppid() != parent:
                os._exit(1)

        try:
            handle: subprocess.Popen[bytes] = subprocess.Popen(
                list(process.command),
                stdin=subprocess.PIPE if process.secret is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(process.environment),
                cwd=process.folder,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop them in order
                umask=0o027,
                pass_fds=self._inherited,
                preexec_fn=follow_parent,  # noqa: PLW1509 -- no threads hold locks the child needs before exec
                **process.account.switch(),
            )
        except OSError as error:
            raise StartFailed(f"{process.name} could not be started: {error}") from error
        running = _Running(process, handle, self._batch)
        self._running.append(running)
        running.pump = threading.Thread(target=self._pump, args=(running,), daemon=True)
        running.pump.start()
        if process.secret is not None:
            assert handle.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # then it ended already, and the caller says so
                handle.stdin.write(process.secret.encode() + b"\n")
                handle.stdin.close()
        return running

    # --- Watch ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise `Died` if any process has ended."""
        for each in self._running:
            self._check_alive(each, Died, "ended")

    def wait(self) -> None:
        """Watch until a process ends (`Died`) or the caller is interrupted."""
        while not self._is_stopping.is_set():
            self.check()
            time.sleep(0.2)

    def names(self) -> list[str]:
        return [each.process.name for each in self._running]

    def pid(self, name: str) -> int:
        """The process id of a running process."""
        return next(each.handle.pid for each in self._running if each.process.name == name)

    def _check_alive(self, each: _Running, error: type[RuntimeError], what: str) -> None:
        code = _exit_code(each.handle)
        if code is None or self._is_stopping.is_set():
            return
        if each.pump is not None:
            each.pump.join(timeout=5)
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        raise error(self._report(each, f"{what} {how}"))

    def _report(self, each: _Running, what: str) -> str:
        log = self._log_folder / f"{each.process.name}.log"
        lines = "".join(f"\n    {line}" for line in each.last) or "\n    (nothing)"
        return f"{each.process.name} {what}. It printed last ({log}):{lines}"

    def _pump(self, running: _Running) -> None:
        """Copy what a process prints into its log, and to our output under its name."""
        name = running.process.name
        colour = _COLOURS[sum(name.encode()) % len(_COLOURS)]
        prefix = f"\033[{colour}m{name:<10}|\033[0m " if self._out.isatty() else f"{name:<10}| "
        path = self._log_folder / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        assert running.handle.stdout is not None
        with path.open("ab") as log, running.handle.stdout as stream:
            for raw in stream:
                log.write(raw)
                log.flush()
                line = raw.decode(errors="replace").rstrip()
                running.last.append(line)
                if self._echo:
                    with self._lock:
                        print(prefix + line, file=self._out, flush=True)
                if running.process.ready_line in line:  # and is seen to be: the next one starts then
                    running.has_said_ready = True

    # --- Stop -------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End every process, those started last first, and wait until each is gone with its own children."""
        self._is_stopping.set()
        while self._running:
            batch = [each for each in self._running if each.batch == self._running[-1].batch]
            for each in batch:
                if _exit_code(each.handle) is None:
                    each.handle.send_signal(each.process.stop_signal)
            deadline = time.monotonic() + self._stop_within_s
            while any(_exit_code(each.handle) is None for each in batch) and time.monotonic() < deadline:
                time.sleep(0.02)
            for each in batch:
                _kill_group(each.handle.pid)  # what it left behind in its own session, or itself
                each.handle.wait()
                if each.pump is not None:
                    each.pump.join(timeout=5)
                self._running.remove(each)


def _exit_code(handle: subprocess.Popen[bytes]) -> int | None:
    """How the process ended, without reaping it: until `stop` does, nothing else can get its number."""
    if handle.returncode is not None:
        return handle.returncode
    ended = os.waitid(os.P_PID, handle.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
