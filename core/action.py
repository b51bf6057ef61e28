"""The wrapper of every write: one durable transaction, and an audit event for every refusal and failure.

Only the outermost action opens the transaction. An action called inside another one joins it, so that the
whole deed commits or vanishes together. A change to a guarded table without an audit event of the act cannot
commit (`core.audit.tripwire`).
"""

from __future__ import annotations

import functools
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ParamSpec, TypeAlias, TypeVar
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction

from core import busy, endings
from core.endings import People
from core.ids import new_id
from core.refusals import Refused

P = ParamSpec("P")
R = TypeVar("R")
Deed: TypeAlias = Callable[[Set[str]], None]

log = logging.getLogger(__name__)

_current: ContextVar[UUID | None] = ContextVar("action", default=None)
_last: ContextVar[Mapping[Deed, frozenset[str]]] = ContextVar("last", default=MappingProxyType({}))
_kept: ContextVar[list[str] | None] = ContextVar("kept", default=None)


class NoOpenAction(RuntimeError):
    """A primitive that writes was called outside an action."""


def current() -> UUID:
    """The id of the action that is open here; NoOpenAction where there is none."""
    identifier = _current.get()
    if identifier is None:
        raise NoOpenAction("this write must happen inside an @action")
    return identifier


def is_open() -> bool:
    """Whether an action is open in this context."""
    return _current.get() is not None


def lastly(deed: Deed, *about: str) -> None:
    """Have the open act do this when everything else of it is done, once, with all that it was named for.

    What is locked then is held no longer than the commit takes. Its refusal is the act's.
    """
    current()
    _last.set({**_last.get(), deed: _last.get().get(deed, frozenset()) | {*about}})


@contextmanager
def each_lastly(deed: Deed, *about: str) -> Iterator[None]:
    """The same of every act that begins in this block."""
    before = _last.get()
    token = _last.set({**before, deed: before.get(deed, frozenset()) | {*about}})
    try:
        yield
    finally:
        _last.reset(token)


def action(
    event: StrEnum, *, people: Callable[..., People] | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run the function as one action named `event`; its keyword arguments include `actor` and `now`.

    What its actor may do cannot end while it runs, and it does not happen once that has ended
    (`core.endings`). `people`, asked with the same arguments, says whose rights it ends itself, and
    whose word it counts.

    A `Refused` rolls everything back; then "<event>.refused" is recorded in a transaction of its own, and
    "<event>.failed" after every other exception, which goes on its way. Where two acts stood in each other's
    way, one is done once more; one that may have been kept or not raises OutcomeUnknown (`core.busy`).
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if is_open():
                if people is not None:
                    endings.hold_alone(people(**kwargs))
                return function(*args, **kwargs)
            try:
                done = _run_again(function, people, args, kwargs)
                _note(event)
                return done
            except Refused as refusal:
                _audit_alone(event, refusal, kwargs)
                raise
            except Exception as error:
                _audit_failure(event, error, kwargs)
                raise

        run.event = event  # type: ignore[attr-defined]
        return run

    return decorate


def watch() -> list[str]:
    """The acts that are kept from now on in this context, a list that grows: for a request's page."""
    kept: list[str] = []
    _kept.set(kept)
    return kept


def _note(event: StrEnum) -> None:
    kept = _kept.get()
    if kept is not None:
        kept.append(str(event))


def _run_again(function: Callable[..., R], people: Callable[..., People] | None, args: Any, kwargs: Any) -> R:
    shared = connection.in_atomic_block
    for tried in itertools.count(1):
        try:
            return _run_durable(function, people, args, kwargs)
        except DatabaseError as error:
            if shared or not busy.may_repeat(error, kwargs, tried=tried):
                raise
            log.warning("tried again after %s", busy.sqlstate(error))
            busy.pause(tried)
    raise AssertionError("it ends by itself")


def _run_durable(
    function: Callable[..., R], people: Callable[..., People] | None, args: Any, kwargs: Any
) -> R:
    from core.audit import tripwire

    shared = connection.in_atomic_block  # a test's, which never commits: `durable` allows no other
    act, is_whole = new_id(), False
    try:
        with transaction.atomic(durable=True):
            tripwire.open_act(act, shared=shared)
            about = people(**kwargs) if people is not None else endings.NOBODY
            held = endings.hold(kwargs.get("actor"), about, now=kwargs.get("now"))
            token, of_each = _current.set(act), _last.set(_last.get())
            try:
                result = function(*args, **kwargs)
                for deed, named in _last.get().items():
                    deed(named)
            finally:
                _last.reset(of_each)
                _current.reset(token)
            held.check()
            if shared:
                tripwire.close_act()
            is_whole = True
    except (DatabaseError, InterfaceError) as error:
        if is_whole and busy.is_kept_perhaps(error):
            raise busy.OutcomeUnknown("the connection was lost at commit") from error
        raise
    return result


def _audit_alone(event: StrEnum, error: Refused | Exception, kwargs: Any) -> None:
    """What did not happen, in a transaction of its own: it survives the rollback."""
    from core.audit.writing import record_failure, record_refusal

    with transaction.atomic(durable=True):
        token = _current.set(new_id())
        try:
            if isinstance(error, Refused):
                record_refusal(event, error, actor=kwargs["actor"], now=kwargs["now"])
            else:
                record_failure(event, error, actor=kwargs["actor"], now=kwargs["now"])
        finally:
            _current.reset(token)


def _audit_failure(event: StrEnum, error: Exception, kwargs: Any) -> None:
    """The same for what nobody foresaw. Where the database itself is gone, the log file has to do."""
    if "actor" not in kwargs or "now" not in kwargs:
        return  # the call itself was wrong: nobody tried anything
    try:
        _audit_alone(event, error, kwargs)
    except (DatabaseError, InterfaceError):
        log.exception("%s failed by %s, and that could not be recorded", event, type(error).__name__)
