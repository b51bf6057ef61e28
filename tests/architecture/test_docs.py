"""What people may meet is written down (settings, commands, codes), and what is written down exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
DOCS = HOME / "docs"
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    *sorted(HOME.glob("*.md")),
    HOME / "engine/README.md",
    HOME / "benchmarks/engine/README.md",
]

SETTING = re.compile(r'(?:text|whole|secret_file)\(\s*"([A-Z_]+)"')
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
ANCHOR = re.compile(r"\]\(([^)#\s:]*)#([^)\s]+)\)")
MODULE = re.compile(r"python -m ((?:core|custody|devstack)\.[a-z_.]*[a-z])(?!\w|\.[\w{])")
CODE = re.compile(r"\bSIGNER_[A-Z_]+[A-Z]\b")


def text_of(*parts: str) -> str:
    return "\n".join(path.read_text() for part in parts for path in sorted(HOME.glob(part)))


@pytest.mark.parametrize("name", sorted(set(SETTING.findall(text_of("backoffice/settings/*.py")))))
def test_every_setting_is_in_the_configuration_page(name: str) -> None:
    assert f"`{name}`" in (DOCS / "configuration.md").read_text()


def test_every_setting_of_the_configuration_page_is_read_somewhere() -> None:
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    code = text_of(
        "backoffice/**/*.py", "devstack/**/*.py", "cloudflared/*.py", "tests/contract/*.py", "custody/**/*.py"
    )
    assert named
    assert not [name for name in sorted(named) if f'"{name}"' not in code]


def test_what_kind_of_deployment_this_is_has_one_reader() -> None:
    rooms = ("backoffice", "core", "customers", "custody", "engine_bridge", "kyc", "trader_api")
    code = [path for room in rooms for path in (HOME / room).rglob("*.py")]
    readers = [path for path in code if "settings.DEPLOYMENT_KIND" in path.read_text()]
    assert readers == [HOME / "core/deployment.py"]


def test_every_replaceable_part_is_in_the_configuration_page() -> None:
    from devstack.environment import REPLACEABLE

    page = (DOCS / "configuration.md").read_text()
    assert not [name for name in REPLACEABLE if f"`{name}`" not in page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert not [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_every_link_into_a_page_leads_to_a_heading_of_it(page: Path) -> None:
    asked = ANCHOR.findall(page.read_text())
    assert not [
        (to, anchor) for to, anchor in asked if anchor not in _headings(page.parent / to if to else page)
    ]


def _headings(page: Path) -> set[str]:
    """What links may name in this page, as it is rendered."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_whatever_a_page_says_to_type_is_there(page: Path) -> None:
    text = page.read_text()
    verbs = set(re.findall(r"^([a-z]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
    typed = re.findall(r"(?:`|^    )(?:[A-Z]+=\S+ )*make ([a-z]+)", text, re.MULTILINE)
    assert not [verb for verb in typed if verb not in verbs]
    scripts = re.findall(r"(?:`|^    )(bin/[a-z]+)", text, re.MULTILINE)
    assert not [script for script in scripts if not (HOME / script).exists()]
    for module in MODULE.findall(text):
        path = HOME / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_every_command_of_ours_is_in_the_list_and_the_list_names_no_other() -> None:
    page = (DOCS / "commands.md").read_text()
    apps = [folder for folder in HOME.iterdir() if (folder / "__init__.py").exists()]
    found = [path for app in apps for path in app.glob("**/management/commands/[a-z]*.py")]
    named = set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE))
    assert named == {path.stem for path in found} | {"migrate"}
    programs = re.findall(r"^\| `((?:custody|core)\.[a-z.]+)` \|", page, re.MULTILINE)
    assert programs
    for program in programs:
        path = HOME / program.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def test_the_readme_tells_as_many_steps_as_the_demo_walks() -> None:
    from devstack.demo import journey

    told = (HOME / "README.md").read_text().partition("## The journey")[2].partition("\n## ")[0]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", told, re.MULTILINE)]
    up = 1  # that everything comes up is the first
    assert numbers == list(range(1, up + len(journey.steps()) + 1))


def test_every_decision_is_listed() -> None:
    index = (DOCS / "adr/0000-how-we-record-decisions.md").read_text()
    decisions = [path.name for path in sorted((DOCS / "adr").glob("0*.md")) if path.name[:4] != "0000"]
    assert decisions
    assert not [name for name in decisions if f"({name})" not in index]


def test_the_signers_runbook_names_codes_that_exist() -> None:
    page = (DOCS / "runbooks/signer-refuses.md").read_text()
    named = set(CODE.findall(page)) | {f"SIGNER{short}" for short in re.findall(r"`(_[A-Z_]+)`", page)}
    code = text_of("custody/signer/*.py", "kernel/*.py")
    known = set(CODE.findall(code)) | {
        f"SIGNER{short}" for short in re.findall(r"[\s,(](_[A-Z_]+[A-Z])\b", code)
    }
    assert len(named) > 20
    assert not sorted(named - known)


def test_the_stuck_payments_runbook_has_a_way_on_for_each_line_of_the_health_screen() -> None:
    lines = set(
        re.findall(r"^\| ([a-z ]+) \|", (DOCS / "runbooks/payment-stuck.md").read_text(), re.MULTILINE)
    )
    counted = text_of("custody/queries/payments.py").split("def count_stuck")[1]
    assert lines - {"line"} == set(re.findall(r'^        "([a-z ]+)": ', counted, re.MULTILINE))


def test_the_policys_reference_lists_every_kind_as_it_is_registered() -> None:
    from core.approvals import kinds
    from core.approvals.domain.policies import lasting

    rows = re.findall(
        r"^\| `([a-z_.]+)`(, fixed)?[^|]*\| ([^|;]+)[^|]*\| ([^|]+) \|([^|]*)\|$",
        (DOCS / "policy.md").read_text(),
        re.MULTILINE,
    )
    told = {
        row[0]: (*map(str.strip, row[1:4]), frozenset(re.findall(r"(?:^| )`([a-z_]+)`", _bare(row[4]))))
        for row in rows
    }
    assert told == {
        name: (
            ", fixed" if kind.fixed else "",
            ", ".join(f"{count} of {team}" for team, count in sorted(kind.floor.items()))
            or f"{kind.people_min} people, of the teams in the signers' registry",
            f"{lasting(kind.approve_within)} and {lasting(kind.execute_within)}",
            kind.facts,
        )
        for name, kind in kinds.registered().items()
    }


def _bare(cell: str) -> str:
    """A cell without what it says in brackets."""
    return re.sub(r"\([^)]*\)", "", cell)


def test_tiers_have_the_same_limits_wherever_they_are_written() -> None:
    from custody.domain.limits import LIMITS
    from kyc.domain.tiers import TIERS

    ours = {tier.rank: tier.withdraw_usd_per_day for tier in TIERS}
    assert {rank: None if usd is None else int(usd * 100) for rank, usd in ours.items()} == dict(LIMITS)


def test_the_threat_model_states_the_worst_loss_that_the_code_computes() -> None:
    from devstack.genesis import HOT_THRESHOLD, LANE
    from devstack.users import HOT_TOKENS
    from kernel.lane import worst_loss
    from kernel.money import Amount

    page = " ".join((DOCS / "threat-model.md").read_text().split())
    limit, window = int(str(LANE["window_units_max"])), LANE["window_s"]
    plain, hurt = (
        Amount(worst_loss(limit, threshold=HOT_THRESHOLD, tokens=len(HOT_TOKENS), hosts_lost=lost), "BTC")
        for lost in (0, 1)
    )
    assert window == 86_400
    assert f"that is {plain} BTC a day ({hurt} BTC with one signer's host lost as well)" in page
    assert "`n * floor(L * m / n) / m`, never more than *L*" in page


def test_the_threat_models_cells_name_tests_that_exist() -> None:
    page = (DOCS / "threat-model.md").read_text()
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page)) | set(re.findall(r"`([a-z0-9_]+)` \(Rust\)", page))
    assert len(named) > 30
    sources = [*(HOME / "tests").rglob("test_*.py"), *(HOME / "engine").glob("*/tests/**/*.rs")]
    text = "\n".join(path.read_text() for path in sources)
    assert {name for name in named if not re.search(rf"(def|fn) {name}\b", text)} == set()


def test_every_cell_of_the_threat_models_table_names_its_test() -> None:
    page = (DOCS / "threat-model.md").read_text()
    table = page.partition("## Attacker by asset")[2].partition("\n\n## ")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| **")]
    assert [len(cells) for cells in rows] == [5] * 6
    unproven = [cell for cells in rows for cell in cells[1:] if not re.search(r"`test_|` \(Rust\)", cell)]
    assert unproven == []
