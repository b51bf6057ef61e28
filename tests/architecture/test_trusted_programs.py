"""The trusted programs …"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernel import psbt, webauthn
from tests.vault import ROOT, TRUSTED_PYTHON

TRUSTED_FOLDERS = ("kernel", "custody/signer")
ALLOWED_OUTSIDE = {"coincurve", "cryptography", "pkcs11", "asn1crypto"}

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
        timeout=240,
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
    assert {name for name in ours if not name.startswith("core.audit.programs")} <= {
        "core",
        "core.lazy",
        "core.audit",
        "core.audit.verifier",
        "core.audit.export_lines",
        "core.audit.heads",
        "core.audit.verdict",
    }


def test_witness_the_audit_log_without_django() -> None:
    foreign, ours = run("core.audit.witness")
    assert foreign == []
    above = [name for name in ours if not name.startswith("core.trusted")]
    assert set(above) <= {"core", "core.lazy", "core.audit", "core.audit.witness"}


def test_sign_the_audit_logs_heads_without_django() -> None:
    foreign, ours = run("core.audit.notary", "core.audit.notary.memory", "core.audit.notary.token")
    assert foreign == []
    below = ("core.audit.notary", "core.trusted")
    assert [name for name in ours if not name.startswith(below)] == ["core", "core.audit", "core.lazy"]


def test_open_personal_data_without_django() -> None:
    foreign, ours = run("core.vault", "core.vault.desk", "core.vault.log", "core.trusted")
    assert foreign == []
    assert [name for name in ours if not name.startswith(("core.vault", "core.trusted"))] == ["core"]


# Where the application asks the vault, and under which event: each reader of personal data stands here.
READERS = {
    "core/audit/subjects.py": {"reveal"},
    "kyc/queries.py": {"evidence"},
    "kyc/vault.py": {"open_for"},
}


def test_are_asked_for_personal_data_only_under_a_read_on_record() -> None:
    """A read is what `record_read` gives; `subjects.opened` refuses every other event when it runs."""
    found: dict[str, set[str]] = {}
    for folder in OURS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.FunctionDef):
                    continue
                calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
                names = {getattr(call.func, "attr", getattr(call.func, "id", "")) for call in calls}
                if names & {"opened", "open_for", "reveal"}:
                    found.setdefault(str(path.relative_to(ROOT)), set()).add(node.name)
                    handed = {argument.arg for argument in node.args.kwonlyargs}
                    assert "record_read" in names or "read" in handed, f"{path}: {node.name}"
    assert found == READERS


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
    # What decides and signs; asking a signer, making keys and showing registries are programs beside it.
    beside = {"ask.py", "provision.py", "registry.py", "words.py", "genesis.py", "brought.py"}
    beside |= {"template.py", "drafts.py", "changes.py", "people.py", "written.py"}
    signer = {path: count for path, count in lines.items() if path.parent.name == "signer"}
    assert sum(count for path, count in signer.items() if path.name not in beside) <= 3_710
    assert max(signer.values()) <= 300
    assert max(lines.values()) <= 360


def refusal_codes() -> set[str]:
    """Every code that a signer can give, read from its source and from the kernel's classes."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "custody/signer").glob("*.py"))
    codes = set(re.findall(r'"(SIGNER_[A-Z_]+[A-Z])"', text))
    codes |= {f"SIGNER_{reason.code}" for reason in [psbt.BadPsbt, *psbt.BadPsbt.__subclasses__()]}
    return codes | {
        "SIGNER_" + reason.code.upper().replace(".", "_") for reason in webauthn.BadAssertion.__subclasses__()
    }


# A request cannot lead to these: keys are checked when the registry is read, and a signer does not finalise.
NOT_REACHABLE = {
    "SIGNER_ASSERTION_PUBLIC_KEY",
    "SIGNER_PSBT_DIFFERENT_TRANSACTION",
    "SIGNER_PSBT_NOT_ENOUGH_SIGNATURES",
}


def test_have_a_line_in_the_runbook_for_every_code_of_a_refusal() -> None:
    page = (ROOT / "docs/runbooks/signer-refuses.md").read_text(encoding="utf-8")
    families = ("SIGNER_PSBT_", "SIGNER_ASSERTION_")
    codes = {code for code in refusal_codes() if not code.startswith(families)}
    assert {code for code in codes if f"`{code}`" not in page and f"`{code[6:]}`" not in page} == set()
    assert all(f"`{family}*`" in page for family in families)


def test_have_a_test_for_every_code_of_a_refusal() -> None:
    here = Path(__file__)
    paths = [path for path in (ROOT / "tests").rglob("*.py") if path != here]
    tests = "".join(path.read_text(encoding="utf-8") for path in paths)
    assert {code for code in refusal_codes() - NOT_REACHABLE if code not in tests} == set()
