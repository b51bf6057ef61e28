"""Checks a tunnel configuration for what cloudflared's own validator lets pass.

    python cloudflared/lint.py cloudflared/tunnel/config.yml

cloudflared warns about a misspelt key and goes on without it, and accepts `access` at the top level without
enforcing it; either leaves the console open. Here both fail. With CLOUDFLARED_EXE set, the official validator
runs as well and must have nothing to say but OK.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

SHIPPED: Final = Path(__file__).resolve().parent / "tunnel/config.yml"

BEHIND_ACCESS: Final = frozenset({"console", "service"})
OWN_PROOF: Final = frozenset({"api", "hooks", "approver"})
"""Doors by the first label of the host. A host with any other label must be behind Access."""
NEEDED: Final = frozenset({"console", "api", "hooks", "approver"})

TOP: Final = frozenset(
    {"tunnel", "credentials-file", "metrics", "no-autoupdate", "ingress", "loglevel", "protocol"}
)
RULE: Final = frozenset({"hostname", "service", "originRequest"})
ORIGIN: Final = frozenset({"access", "connectTimeout", "keepAliveTimeout", "keepAliveConnections"})
ACCESS: Final = frozenset({"required", "teamName", "audTag"})

CATCH_ALL: Final = {"service": "http_status:404"}
_HOST: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9-]+")
_TEAM: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_TAG: Final = re.compile(r"[0-9a-f]{64}")
_SOCKET: Final = re.compile(r"unix:/[^\s]+")
_LOOPBACK: Final = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\]):\d{1,5}")


class OnceLoader(yaml.SafeLoader):
    """Safe YAML in which a key stands once; plain YAML lets the last one win silently."""


def _mapping_once(loader: OnceLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
    found: dict[Hashable, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


OnceLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_once)


def faults(text: str) -> list[str]:
    """Everything that is wrong with the configuration, each in one line; none if it may be used."""
    try:
        document = yaml.load(text, Loader=OnceLoader)  # noqa: S506 - OnceLoader is a SafeLoader
    except yaml.YAMLError as error:
        return [f"not YAML that can be used: {' '.join(str(error).split())}"]
    if not isinstance(document, dict):
        return ["the file is no mapping"]
    return [*_top(document), *_rules(document.get("ingress"))]


def _top(document: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted(map(str, document.keys() - TOP)):
        if key == "originRequest":
            yield "originRequest stands at the top level, where access is not enforced: write it on each rule"
        else:
            yield f"unknown key {key}"
    if not _LOOPBACK.fullmatch(str(document.get("metrics", ""))):
        yield "metrics must name a loopback address and port: they show the whole configuration"
    if document.get("no-autoupdate") is not True:
        yield "no-autoupdate must be true: the program changes by review, not by itself"
    for key in ("tunnel", "credentials-file"):
        if not isinstance(document.get(key), str):
            yield f"{key} is missing"


def _rules(rules: object) -> Iterator[str]:
    if not isinstance(rules, list) or not rules:
        yield "ingress has no rules"
        return
    if rules[-1] != CATCH_ALL:
        yield "the last rule must be the catch-all `service: http_status:404` and nothing else"
    hosts: list[str] = []
    tags: dict[str, str] = {}
    for number, rule in enumerate(rules[:-1], start=1):
        if not isinstance(rule, dict):
            yield f"rule {number} is no mapping"
            continue
        host = str(rule.get("hostname", ""))
        where = f"rule {number} ({host or 'no hostname'})"
        yield from (f"{where}: {fault}" for fault in _rule(rule, host))
        if host in hosts:
            yield f"{where}: the host has a rule already; the second never matches"
        hosts.append(host)
        for tag in _tags(rule):
            if tags.setdefault(tag, host) != host:
                yield f"{where}: its audTag is that of {tags[tag]}; two doors with one audience are one door"
    for label in sorted(NEEDED - {host.partition(".")[0] for host in hosts}):
        yield f"no rule for the {label} host"


def _rule(rule: Mapping[str, Any], host: str) -> Iterator[str]:
    for key in sorted(map(str, rule.keys() - RULE)):
        if key == "path":
            yield "path tells no privileges apart: it is matched before it is normalised; use another host"
        else:
            yield f"unknown key {key}"
    if not _HOST.fullmatch(host):
        yield "hostname must be one plain host, without a wildcard"
    if not _SOCKET.fullmatch(str(rule.get("service", ""))):
        yield "service must be a unix socket; a TCP origin can be reached around the tunnel"
    origin = rule.get("originRequest")
    if not isinstance(origin, dict):
        yield "originRequest.access is missing"
        return
    yield from (f"unknown key originRequest.{key}" for key in sorted(map(str, origin.keys() - ORIGIN)))
    access = origin.get("access")
    if not isinstance(access, dict):
        yield "originRequest.access is missing"
        return
    yield from (f"unknown key access.{key}" for key in sorted(map(str, access.keys() - ACCESS)))
    yield from _access(access, host.partition(".")[0])


def _access(access: Mapping[str, Any], label: str) -> Iterator[str]:
    required = access.get("required")
    if required is False:
        if label not in OWN_PROOF:
            yield "access.required must be true on this host"
        if access.keys() & {"teamName", "audTag"}:
            yield "access.required is false, yet a teamName or audTag is given: say which is meant"
        return
    if required is not True:
        yield "access.required must be written as true or false"
        return
    if label in OWN_PROOF:
        yield "this door is for people and programs without Access; access.required must be false"
    if not _TEAM.fullmatch(str(access.get("teamName", ""))):
        yield "access.teamName is missing"
    tags = access.get("audTag")
    if not isinstance(tags, list) or not tags or not all(_TAG.fullmatch(str(tag)) for tag in tags):
        yield "access.audTag must list audiences of 64 lower-case hex digits"


def _tags(rule: Mapping[str, Any]) -> list[str]:
    origin = rule.get("originRequest")
    access = origin.get("access") if isinstance(origin, dict) else None
    tags = access.get("audTag") if isinstance(access, dict) else None
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def official_faults(program: str, path: Path) -> list[str]:
    """What cloudflared itself says, unless that is OK: it exits 0 even when it warns of unused keys."""
    command = [program, "tunnel", "--config", str(path), "ingress", "validate"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    said = (ran.stdout + ran.stderr).strip()
    lines = said.splitlines()
    is_ok = ran.returncode == 0 and bool(lines) and lines[-1].strip() == "OK" and "arning" not in said
    return (
        []
        if is_ok
        else [f"cloudflared (exit {ran.returncode}): {line}" for line in lines or ["nothing said"]]
    )


def main(arguments: list[str]) -> int:
    """Print each fault; 0 without any, 1 with some, 2 where the file cannot be read."""
    path = Path(arguments[0]) if arguments else SHIPPED
    try:
        text = path.read_text()
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")
        return 2
    found = faults(text)
    if program := os.environ.get("CLOUDFLARED_EXE"):
        found += official_faults(program, path)
    for fault in found:
        sys.stderr.write(f"{path}: {fault}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
