"""The trusted programs …"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vault import ROOT, TRUSTED_PYTHON

TRUSTED_FOLDERS = ("kernel", "custody/signer")
ALLOWED_OUTSIDE = {"cryptography", "pkcs11", "asn1crypto"}

PROBE = """
import importlib, pkgutil, sys
names = {names!r}
for name in names:
    importlib.import_module(name)
    package = sys.modules[name]
    for found in pkgutil.iter_modules(getattr(package, "__path__", ())):
        importlib.import_module(f"{{name}}.{{found.name}}") if found.name != "__main__" else None
ours = sorted(name for name in sys.modules if name.split(".")[0] in {ours!r})
foreign = {{name.split(".")[0] for name in sys.modules}} & {{"django", "rest_framework", "celery"}}
print("\\n".join(sorted(foreign)))
print("ours:", *ours)
"""
OURS = ["backoffice", "trader_api", "operations", "custody", "kyc", "engine_bridge", "customers", "core"]


def run(*names: str) -> tuple[list[str], list[str]]:
    """Import these in the trusted environment: foreign packages that came along, and modules of ours."""
    done = subprocess.run(
        [str(TRUSTED_PYTHON), "-c", PROBE.format(names=list(names), ours=OURS)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *foreign, ours = done.stdout.strip().split("\n")
    return [name for name in foreign if name], ours.split()[1:]


def test_run_without_django() -> None:
    foreign, ours = run("kernel", "custody.signer")
    assert foreign == []
    assert [name for name in ours if not name.startswith("custody.signer")] == ["custody"]


def test_verify_the_audit_log_without_django() -> None:
    foreign, ours = run("core.audit.verifier")
    assert foreign == []
    assert set(ours) <= {"core", "core.lazy", "core.audit", "core.audit.verifier"}


def test_live_in_an_environment_that_has_no_django_at_all() -> None:
    done = subprocess.run(
        [str(TRUSTED_PYTHON), "-c", "import importlib.util as u; print(u.find_spec('django'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "None"


def modules() -> list[Path]:
    return sorted(path for folder in TRUSTED_FOLDERS for path in (ROOT / folder).glob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_import_little_and_of_ours_only_what_is_below_them(path: Path) -> None:
    allowed = {"kernel"} if path.parent.name == "kernel" else {"kernel", "custody.signer"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.split(".")[0]
            below = any(name == one or name.startswith(one + ".") for one in allowed)
            assert below or top in ALLOWED_OUTSIDE or top in sys.stdlib_module_names, f"{path}: {name}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "kernel").glob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_keep_the_kernel_free_of_clocks_files_and_networks(path: Path) -> None:
    forbidden = {
        "os",
        "io",
        "socket",
        "ssl",
        "time",
        "random",
        "secrets",
        "subprocess",
        "pathlib",
        "threading",
    }
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert forbidden.isdisjoint(name.name.split(".")[0] for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in forbidden
        if isinstance(node, ast.Call):
            called = node.func
            assert not (isinstance(called, ast.Name) and called.id in {"open", "print", "input"})
            assert not (isinstance(called, ast.Attribute) and called.attr in {"now", "utcnow", "today"})


def test_stay_small_enough_to_read_in_an_hour() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    signer = sum(count for path, count in lines.items() if path.parent.name == "signer")
    assert signer <= 2_000
    assert max(lines.values()) <= 360
