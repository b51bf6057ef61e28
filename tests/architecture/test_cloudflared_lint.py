"""The tunnel's lint fails for whatever would leave a door open, and passes what we ship."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudflared.lint import SHIPPED, faults, main

Change = Callable[[dict[str, Any]], object]


def shipped() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    return document


def found(change: Change) -> str:
    """The faults of the shipped configuration after the change, as one text."""
    document = copy.deepcopy(shipped())
    change(document)
    return "\n".join(faults(yaml.safe_dump(document)))


def access(document: dict[str, Any], label: str) -> dict[str, Any]:
    rule = next(rule for rule in document["ingress"] if rule.get("hostname", "").startswith(f"{label}."))
    inner: dict[str, Any] = rule["originRequest"]["access"]
    return inner


def rule(document: dict[str, Any], number: int = 0) -> dict[str, Any]:
    inner: dict[str, Any] = document["ingress"][number]
    return inner


def test_what_we_ship_passes_as_a_command() -> None:
    command = [sys.executable, "cloudflared/lint.py", "cloudflared/tunnel/config.yml"]
    environment = {key: value for key, value in os.environ.items() if key != "CLOUDFLARED_EXE"}
    ran = subprocess.run(
        command, cwd=SHIPPED.parents[2], capture_output=True, text=True, check=False, env=environment
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_what_we_ship_names_the_five_hosts_and_ends_closed() -> None:
    rules = shipped()["ingress"]
    labels = [each["hostname"].partition(".")[0] for each in rules[:-1]]
    assert labels == ["console", "service", "api", "hooks", "approver"]
    assert rules[-1] == {"service": "http_status:404"}


def move_access_up(document: dict[str, Any]) -> None:
    document["originRequest"] = {"access": copy.deepcopy(access(document, "console"))}
    for each in document["ingress"][:-1]:
        del each["originRequest"]


def rename(mapping: dict[str, Any], old: str, new: str) -> None:
    mapping[new] = mapping.pop(old)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (move_access_up, "originRequest stands at the top level"),
        (move_access_up, "rule 1 (console.example.com): originRequest.access is missing"),
        (lambda d: rename(access(d, "console"), "audTag", "audtag"), "unknown key access.audtag"),
        (lambda d: rename(access(d, "console"), "required", "requried"), "access.required must be written"),
        (lambda d: access(d, "console").pop("teamName"), "access.teamName is missing"),
        (lambda d: access(d, "service").pop("audTag"), "access.audTag must list"),
        (lambda d: access(d, "console").update(audTag=[]), "access.audTag must list"),
        (lambda d: access(d, "console").update(audTag=["c" * 63]), "access.audTag must list"),
        (lambda d: access(d, "console").update(audTag="c" * 64), "access.audTag must list"),
        (lambda d: access(d, "console").update(required="true"), "must be written as true or false"),
        (lambda d: access(d, "console").clear(), "must be written as true or false"),
        (
            lambda d: (access(d, "console").clear(), access(d, "console").update(required=False)),
            "must be true",
        ),
        (lambda d: access(d, "service").update(audTag=["c" * 64]), "two doors with one audience"),
        (lambda d: access(d, "api").update(required=True), "access.required must be false"),
        (lambda d: access(d, "hooks").update(audTag=["c" * 64]), "say which is meant"),
        (lambda d: access(d, "approver").clear(), "must be written as true or false"),
        (lambda d: rule(d).update(path="^/admin"), "path tells no privileges apart"),
        (lambda d: rule(d).update(hostname="*.example.com"), "without a wildcard"),
        (lambda d: rule(d).pop("hostname"), "no hostname"),
        (lambda d: rule(d).update(service="http://127.0.0.1:8000"), "must be a unix socket"),
        (
            lambda d: rule(d)["originRequest"].update(noTLSVerify=True),
            "unknown key originRequest.noTLSVerify",
        ),
        (
            lambda d: rule(d)["originRequest"].update(httpHostHeader="x"),
            "unknown key originRequest.httpHostHeader",
        ),
        (lambda d: d["ingress"].insert(1, copy.deepcopy(rule(d))), "the second never matches"),
        (lambda d: d["ingress"].pop(), "the last rule must be the catch-all"),
        (lambda d: rule(d, -1).update(hostname="x.example.com"), "the last rule must be the catch-all"),
        (lambda d: d["ingress"].pop(0), "no rule for the console host"),
        (lambda d: d.update(ingress=[]), "ingress has no rules"),
        (lambda d: d.update(metrics="0.0.0.0:20241"), "metrics must name a loopback address"),
        (lambda d: d.pop("metrics"), "metrics must name a loopback address"),
        (lambda d: d.pop("no-autoupdate"), "no-autoupdate must be true"),
        (lambda d: d.update({"warp-routing": {"enabled": True}}), "unknown key warp-routing"),
        (lambda d: d.pop("tunnel"), "tunnel is missing"),
    ],
)
def test_it_fails_for(change: Change, words: str) -> None:
    assert words in found(change)


def test_another_host_is_behind_access_or_fails() -> None:
    def add(document: dict[str, Any]) -> None:
        extra = copy.deepcopy(rule(document, 2))
        extra["hostname"] = "grafana.example.com"
        document["ingress"].insert(0, extra)

    assert "access.required must be true on this host" in found(add)


def test_a_key_that_stands_twice_fails() -> None:
    text = SHIPPED.read_text().replace(
        "        required: true\n", "        required: true\n        required: false\n", 1
    )
    assert "stands twice" in "\n".join(faults(text))


@pytest.mark.parametrize("text", ["", "[]", "a: [", "!!python/object/apply:os.system ['true']"])
def test_rubbish_fails(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("echo Validating rules; echo OK", 0),
        ("echo 'Warning: unused keys'; echo OK", 1),
        ("echo no; exit 1", 1),
        ("true", 1),
    ],
)
def test_the_official_validator_must_have_nothing_to_say_but_ok(
    script: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "cloudflared"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("CLOUDFLARED_EXE", str(program))
    assert main([str(SHIPPED)]) == code


def test_a_file_that_is_not_there_is_said_to_be_missing() -> None:
    assert main(["/nonexistent/config.yml"]) == 2
