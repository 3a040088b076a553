"""Logging: one event per line, a constant message plus keys; JSON where nobody watches, text on a terminal.

What a line belongs to is bound once (`bind`, `bind_more`) and stands on every line that follows, also on those of modules
that know nothing of it: a reconcile binds `tenant`, `generation` and `reconciler`.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TextIO

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOTHING: Mapping[str, object] = MappingProxyType({})
_bound: ContextVar[Mapping[str, object]] = ContextVar("log_keys", default=_NOTHING)


def bind(**keys: object) -> None:
    """From here on, in this task and those it starts, lines carry *keys* and nothing that was bound before."""
    _bound.set(keys)


def bind_more(**keys: object) -> Token[Mapping[str, object]]:
    """Lines carry *keys* too, besides what is bound, until `unbind`."""
    return _bound.set({**_bound.get(), **keys})


def unbind(before: Token[Mapping[str, object]]) -> None:
    _bound.reset(before)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {**_bound.get(), **{key: value for key, value in vars(record).items() if key not in _OWN}}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix("skep."),
            "message": record.getMessage(),
        } | _extra(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        keys = " ".join(f"{key}={value}" for key, value in _extra(record).items())
        text = f"{at} {record.levelname.lower():7} {record.getMessage()}{'  ' if keys else ''}{keys}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configure(stream: TextIO = sys.stderr, *, level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if stream.isatty() else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("skep").setLevel(level)
