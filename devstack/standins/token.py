"""The token that can be as slow, absent or broken as hardware: compiling `token.c`, and giving it orders."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("token.c")
ORDERS = "TOKEN_ORDERS"


def build(folder: Path, *, real: str, takes_us: int = 0, at_once: int = 64) -> str:
    """The path of a module that stands before the module `real`.

    Wherever Rust can link, and so wherever the engine is built, there is a `cc`.
    """
    made = folder / "token.so"
    how = [f'-DREAL="{real}"', f"-DTAKES_US={takes_us}", f"-DAT_ONCE={at_once}"]
    # Its calls go through pointers without a prototype, as C before 2023 allows.
    subprocess.run(
        ["cc", "-std=gnu11", "-shared", "-fPIC", "-O2", *how, "-o", made, SOURCE, "-ldl", "-pthread"],
        check=True,
    )
    return str(made)


def order(file: Path, **orders: object) -> None:
    """From now on the token behaves so, and in no other way out of the ordinary; whole at any moment."""
    fresh = file.with_suffix(".new")
    fresh.write_text("".join(f"{name} {value}\n" for name, value in orders.items()))
    fresh.replace(file)
