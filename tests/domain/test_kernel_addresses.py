"""An address …"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import base58, bech32, script
from kernel.bech32 import BadAddress
from tests.vectors import load

BIP350 = load("bech32")


@pytest.mark.parametrize(("address", "output_script"), BIP350["valid"])
def test_of_bip_350_leads_to_its_script_and_back(address: str, output_script: str) -> None:
    network = "mainnet" if address.lower().startswith("bc1") else "testnet"
    found = script.script_of(address, network)
    assert found.hex() == output_script
    assert script.address_of(found, network) == address.lower()


@pytest.mark.parametrize(("address", "reason"), BIP350["invalid"])
def test_that_bip_350_calls_invalid_is_refused(address: str, reason: str) -> None:
    for network in ("mainnet", "testnet", "regtest"):
        with pytest.raises(BadAddress):
            script.script_of(address, network)


@pytest.mark.parametrize(
    ("address", "output_script"),
    [
        # The genesis block's reward, and the pay-to-script-hash example of BIP 16's first use on the network.
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"),
        ("342ftSRCvFHfCeFFBuz4xwbeqnDw6BGUey", "a91419a7d869032368fd1f1e26e5e73a4ad0e474960e87"),
    ],
)
def test_of_the_older_form_is_read_too(address: str, output_script: str) -> None:
    assert script.script_of(address, "mainnet").hex() == output_script
    assert script.address_of(bytes.fromhex(output_script), "mainnet") == address


def test_of_another_network_is_refused() -> None:
    with pytest.raises(BadAddress):
        script.script_of("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "regtest")
    with pytest.raises(BadAddress):
        script.script_of("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "regtest")
    with pytest.raises(script.UnknownNetwork):
        script.script_of("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "moonnet")


@settings(max_examples=50)
@given(st.integers(0, 16), st.binary(min_size=2, max_size=40))
def test_survives_a_round_trip(version: int, program: bytes) -> None:
    if version == 0:
        program = program[:20].ljust(20, b"\x01")
    address = bech32.encode("bcrt", version, program)
    assert bech32.decode("bcrt", address) == (version, program)


@settings(max_examples=50)
@given(st.binary(min_size=20, max_size=20), st.integers(0, 38), st.integers(1, 31))
def test_with_one_wrong_character_is_refused(program: bytes, place: int, shift: int) -> None:
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    address = bech32.encode("bcrt", 0, program)
    place = 5 + place % (len(address) - 5)
    wrong = alphabet[(alphabet.index(address[place]) + shift) % 32]
    with pytest.raises(BadAddress):
        bech32.decode("bcrt", address[:place] + wrong + address[place + 1 :])


@settings(max_examples=50)
@given(st.binary(min_size=21, max_size=21))
def test_in_base58_survives_a_round_trip(payload: bytes) -> None:
    assert base58.decode(base58.encode(payload)) == payload
