"""The journey: a withdrawal from a trader's first sign-up to a confirmed transaction, and what guards it.

Everything here goes through the doors that outsiders have: the trader API, the hooks door, the console, the
signers' sockets. Nothing reaches into the application.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import httpx

from devstack.demo import attacks, desk, verification
from devstack.demo.scene import Scene
from devstack.demo.story import Story
from kernel.customer import BENEFICIARY, CUSTOMER_KEY, ED25519
from kernel.money import Amount

DEPOSIT = Amount.parse("0.2", "BTC")
TO_TRADING = Amount.parse("0.05", "BTC")
WITHDRAWAL = Amount.parse("0.06", "BTC")
SMALL = Amount.parse("0.015", "BTC")
PRICE, SIZE = "60000", "0.02"


def steps() -> list[Callable[[Story, Scene], None]]:
    """What follows once everything is up, in order."""
    return [
        sign_up,
        verify_identity,
        deposit,
        trade,
        withdraw,
        refuse_tampering,
        pay_out,
        pay_unattended,
        refill,
        alert,
        verification.run,
    ]


def run(story: Story, scene: Scene) -> None:
    """Every step in order; StepFailed at the first that does not hold."""
    for step in steps():
        step(story, scene)


def sign_up(story: Story, scene: Scene) -> None:
    """Two traders arrive at tier 0, where they may look and not touch."""
    story.step("Tom and Tia sign up at tier 0; a withdrawal is refused")
    for trader, email in ((scene.tom, "tom@example.com"), (scene.tia, "tia@example.com")):
        answer = trader.sign_up(email, f"{trader.name} has a long password")
        story.expect(answer.ok, f"{trader.name} has an account at tier 0", found=answer)
        answer = trader.add_second_factor(email, f"{trader.name} has a long password")
        story.expect(answer.ok, f"{trader.name} has an authenticator app", found=answer)
        answer = trader.make_key(email, f"{trader.name} has a long password", "a passphrase 1A")
        story.expect(answer.ok, f"{trader.name} holds an API key", found=answer)
        story.proof("API key", trader.key)
    answer = scene.tom.withdraw(scene.home_address, WITHDRAWAL, reference="tooearly")
    story.expect(not answer.ok, "a withdrawal at tier 0 is refused", found=answer)
    story.says("the API", f"HTTP {answer.status}, code {answer['code']}: {answer['msg']}")


def verify_identity(story: Story, scene: Scene) -> None:
    """The provider's signed webhook leads to a read of its API, and that read to tier 2."""
    story.step("Sumsub's signed webhooks raise Tom and Tia to tier 2")
    pending = reviewed = 0
    for trader in (scene.tom, scene.tia):
        answer = trader.post("/api/countersign/v1/kyc", {"level": "kyc-standard"})
        story.expect(
            answer.ok, f"{trader.name} starts verification, gets the provider's SDK token", found=answer
        )
        knows = partial(scene.sumsub.applicant, answer.first["applicant"])
        applicant = story.until("the provider knows the applicant", knows)
        pending, reviewed = scene.sumsub.finish_quietly(applicant["id"])
        story.says("Sumsub", f"signs two webhooks about applicant {applicant['id']}, HMAC over the raw body")
        for how in ("body", "digest"):
            answers = scene.sumsub.send(reviewed, tamper=how)
            story.expect(answers == [401], f"a delivery tampered in its {how} is answered 401", found=answers)
        answers = scene.sumsub.send(reviewed)
        story.expect(answers == [200], "the real one is answered 200 before anybody reads it", found=answers)
        story.until(f"{trader.name} is at tier 2", partial(trader.has_tier, 2))
        story.says("the worker", f"has read the authoritative state: {trader.name}'s tier is {trader.tier()}")
    for number, name in ((pending, "the pending one, out of order"), (reviewed, "the last one, replayed")):
        answers = scene.sumsub.send(number)
        story.expect(answers == [200], f"{name}, is answered 200", found=answers)
    story.stays("and Tia's tier does not move", partial(scene.tia.has_tier, 2), seconds=2)


def deposit(story: Story, scene: Scene) -> None:
    """Coins on the chain become a balance, once."""
    story.step("Tom deposits bitcoin; Tia is credited USDT under four eyes")
    sign_destination(story, scene)
    scene.outside.earn()
    address = scene.tom.deposit_address()
    story.proof("deposit address (P2WSH, 2 of 3 HSM keys)", address)
    txid = scene.outside.pay(address, DEPOSIT.units)
    story.proof("Tom's transaction", txid)
    scene.outside.mine(1)
    story.until("the deposit is seen", lambda: scene.tom.deposit(txid))
    scene.outside.mine(2)
    story.until("the deposit is credited", lambda: scene.tom.funding("BTC") == str(DEPOSIT))
    story.proof("Tom's funding balance", f"{scene.tom.funding('BTC')} BTC")
    request = scene.ana.propose_adjustment(scene.tia.customer, "USDT", "5000", "wire transfer 4711 received")
    story.says("Ana", f"proposes a credit of 5000 USDT to Tia: approval {request}")
    scene.approve(story, request, scene.ben, scene.cy)
    story.until("Tia has her USDT", lambda: scene.tia.funding("USDT") == "5000")


def sign_destination(story: Story, scene: Scene) -> None:
    """Tom says with a key of his own where small payments may go without officers."""
    values = scene.stack.environment.values
    about = {"deployment": values["DEPLOYMENT"]}
    key = scene.tom.signing_key.public_key().public_bytes_raw().hex()
    said = {**about, "kind": CUSTOMER_KEY, "algorithm": ED25519, "public_key": key}
    answer = scene.tom.say(said)
    story.expect(answer.ok, "Tom signs which key is his", found=answer)
    place = {"network": values["NETWORK"], "asset": "BTC", "destination": scene.savings_address}
    answer = scene.tom.say({**about, **place, "kind": BENEFICIARY}, "savings")
    story.expect(answer.ok, "and which destination; the signers' cooling-off begins", found=answer)


def trade(story: Story, scene: Scene) -> None:
    """Two orders meet in the Rust engine; the ledger follows to the last unit."""
    story.step("Tom sells to Tia in the Rust engine, over gRPC")
    for trader, asset, amount in ((scene.tom, "BTC", str(TO_TRADING)), (scene.tia, "USDT", "4000")):
        answer = trader.transfer(asset, amount, source="6", target="18")
        story.expect(answer.ok, f"{trader.name} moves {amount} {asset} to trading", found=answer)
        story.until(
            f"{trader.name}'s {asset} is in the engine",
            partial(trader.holds_in_trading, asset, amount),
        )
    sell = scene.tom.order("sell", PRICE, SIZE)
    story.expect(sell.ok, f"Tom's limit order to sell {SIZE} BTC at {PRICE} is accepted", found=sell)
    buy = scene.tia.order("buy", PRICE, SIZE)
    story.expect(buy.ok, "Tia's order crosses it", found=buy)
    for trader, order in ((scene.tom, sell), (scene.tia, buy)):
        fill = story.until(f"{trader.name} sees the fill", partial(trader.fill, order))
        story.proof(
            f"{trader.name}'s fill",
            f"{fill['fillSz']} at {fill['fillPx']}, fee {fill['fee']} {fill['feeCcy']}",
        )
    # 8 and 10 basis points of what each receives: 1200 USDT for Tom (maker), 0.02 BTC for Tia (taker).
    expected = {"Tom": ("0.03", "1199.04"), "Tia": ("0.01998", "2800")}
    for trader in (scene.tom, scene.tia):
        found = (trader.trading("BTC"), trader.trading("USDT"))
        story.expect(
            found == expected[trader.name],
            f"{trader.name} holds exactly {found[0]} BTC, {found[1]} USDT",
            found=found,
        )
    story.expect(scene.books_are_sound(), "the ledger still sums to zero, and equals the engine")


def withdraw(story: Story, scene: Scene) -> None:
    """A request becomes an intent, and the intent is signed by two who did not make it."""
    story.step("Tom asks for a withdrawal; two officers sign its digest")
    answer = scene.tom.withdraw(scene.home_address, WITHDRAWAL, reference="rent1")
    story.expect(answer.ok, f"a withdrawal of {WITHDRAWAL} BTC is requested", found=answer)
    scene.withdrawal = answer.first["wdId"]
    story.proof("withdrawal", scene.withdrawal)
    again = scene.tom.withdraw(scene.home_address, WITHDRAWAL, reference="rent1")
    story.expect(again["code"] == "58404", "the same client id again is refused, not paid twice", found=again)
    story.until("it waits for an officer", partial(scene.ana.withdrawal_is, scene.withdrawal, "on_hold"))
    story.says("screening", "first payment to this address: held for an officer")
    request = scene.ana.release(scene.withdrawal)
    story.says("Ana", f"releases it from screening and so is its maker: approval {request}")
    refused, _ = scene.ana.sign(request)
    story.expect(refused.status_code >= 400, f"Ana cannot approve it herself (HTTP {refused.status_code})")
    story.says("the console", desk.refusal(refused.text))
    borrowed = scene.elsewhere(scene.ben, disk_encryption="no")
    refused, _ = borrowed.sign(request)
    story.expect(
        refused.status_code == httpx.codes.FORBIDDEN,
        f"Ben cannot approve it from a device without disk encryption (HTTP {refused.status_code})",
        found=refused.text[-400:],
    )
    story.says("the console", desk.refusal(refused.text))
    scene.elsewhere(scene.ben, disk_encryption="yes")
    scene.approval = request
    scene.approve(story, request, scene.ben, scene.cy)


def refuse_tampering(story: Story, scene: Scene) -> None:
    """The signers judge for themselves, whatever the web tier hands them."""
    story.step("Tampered transactions are handed to the same signers")
    attacks.run(story, scene)


def pay_out(story: Story, scene: Scene) -> None:
    """Two of three HSM keys sign; the chain confirms; the hold is posted."""
    story.step("Two of three HSM signers sign; the chain confirms; the hold is posted")
    txid = story.until(
        "the transaction is broadcast", partial(scene.tom.withdrawal_txid, scene.withdrawal), seconds=60
    )
    story.proof("transaction", txid)
    scene.outside.mine(3)
    story.until("it is settled", partial(scene.ana.withdrawal_is, scene.withdrawal, "settled"), seconds=60)
    row = scene.tom.withdrawal(scene.withdrawal)
    left = DEPOSIT - TO_TRADING - WITHDRAWAL - Amount.parse(row["fee"], "BTC")
    story.expect(
        scene.tom.funding("BTC") == str(left),
        f"Tom's funding balance is {left} BTC, nothing is held",
        found=scene.tom.balance_row("BTC"),
    )
    story.expect(
        scene.chain_paid(txid, scene.home_address, WITHDRAWAL),
        "the address outside received exactly the amount",
    )


def pay_unattended(story: Story, scene: Scene) -> None:
    """The signers' lane pays a known destination within its limits, and nothing above them."""
    story.step("A small payment takes no officer; the next is too much for the lane and goes to officers")
    limits = scene.registry.lanes["hot"]
    story.says(
        "the registry", f"names a cooling-off of {limits.cooling_off_s} s, short for this demonstration"
    )
    story.until(
        "three signers have known Tom's destination for long enough",
        partial(scene.tom.is_learnt, scene.savings_address, 3),
        seconds=60,
    )
    first = scene.tom.withdraw(scene.savings_address, SMALL, reference="savings1").first["wdId"]
    txid = story.until(f"{SMALL} BTC is broadcast", partial(scene.tom.withdrawal_txid, first), seconds=60)
    story.expect(not scene.ana.request_of_withdrawal(first), "no officer was asked")
    story.proof("transaction", txid)
    scene.outside.mine(3)
    story.until("it is settled", partial(scene.ana.withdrawal_is, first, "settled"), seconds=60)
    second = scene.tom.withdraw(scene.savings_address, SMALL, reference="savings2").first["wdId"]
    story.until("the same again waits for officers", partial(scene.ana.withdrawal_is, second, "screened"))
    reason = str(scene.ana.withdrawal(second)["reason"])
    story.expect("SIGNER_DESTINATION_FULL" in reason, f"because {reason}", found=reason)
    scene.approve(story, scene.ana.request_of_withdrawal(second), scene.ben, scene.cy)
    txid = story.until(
        "it is broadcast under officers' signatures", partial(scene.tom.withdrawal_txid, second), seconds=60
    )
    story.proof("transaction", txid)
    scene.outside.mine(3)
    story.until("it is settled", partial(scene.ana.withdrawal_is, second, "settled"), seconds=60)


def refill(story: Story, scene: Scene) -> None:
    """The hot wallet runs low; cold keys, which have no socket, fill it."""
    story.step("The hot wallet is low: a refill is signed by 3 of 5 cold keys, air-gapped")
    scene.fund_cold(story)
    refill_id = story.until("a refill is proposed by itself", scene.ana.open_refill, seconds=60)
    story.proof("refill", refill_id)
    request = scene.ana.adopt_refill(refill_id)
    story.says("Ana", f"asks for it, and signs with her passkey that she does: approval {request}")
    scene.approve(story, request, scene.ben, scene.cy)
    bundle = story.until("its bundle can be exported", lambda: scene.ana.bundle(refill_id), seconds=60)
    for token in ("cold-1", "cold-3", "cold-5"):
        answered = scene.sign_cold(token, bundle)
        story.says(
            token, f"read the bundle from a file and wrote {len(answered)} bytes of partial signatures"
        )
        answer = scene.ana.import_signatures(refill_id, token, answered)
        story.expect(
            answer.status_code < 400, f"the console takes {token}'s signatures", found=answer.status_code
        )
    txid = story.until("the refill is broadcast", partial(scene.ana.refill_txid, refill_id), seconds=60)
    story.proof("transaction", txid)
    scene.outside.mine(3)
    story.until("the refill is settled", partial(scene.ana.refill_is, refill_id, "settled"), seconds=60)


def alert(story: Story, scene: Scene) -> None:
    """Whoever watches from outside hears of an emergency when the first of two is at the safe."""
    story.step("Ana takes a key out of the safe; whoever watches from outside is told")
    asked = scene.ana.holding(scene.safe_key).post("/emergencies/", "/emergencies/ask", reason="a drill")
    story.expect(asked.status_code == httpx.codes.FOUND, "an emergency is asked for", found=asked.status_code)
    heard = story.until("a signed alert has left", scene.alerts)
    story.proof("alert", f"{heard[0]['type']} {heard[0]['what']} by {', '.join(heard[0]['people'])}")
