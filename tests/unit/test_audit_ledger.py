"""ledger_drift and ledger_imbalance: books that differ from the events; and what looks like it and is not."""

from simulator.audit.books import Balance, Booked, Books
from tests.support.written_log import SHOP, WrittenLog, found


def a_day() -> tuple[WrittenLog, Books]:
    """A sale of 500, a hold of 900 of which 600 are captured, a refund of 100, and books that are right."""
    log = WrittenLog()
    log.executed(log.command("k1"))
    held = log.command("k2", capture=False, amount=900)
    log.executed(held)
    log.executed(log.command("k3", "charge.capture", charge_id=held.charge_id, amount=600))
    log.executed(log.command("k4", "refund.create", charge_id=held.charge_id, amount=100))
    log.executed(log.command("k5", payment_method="pm_card_declined"))
    kinds = (
        ("charge.succeeded", 500, [("customer_payments", 500), ("captures", -500)]),
        ("charge.authorized", 900, [("customer_holds", 900), ("authorizations", -900)]),
        (
            "charge.captured",
            600,
            [
                ("authorizations", 900),
                ("customer_holds", -900),
                ("customer_payments", 600),
                ("captures", -600),
            ],
        ),
        ("charge.refunded", 100, [("refunds", 100), ("customer_payments", -100)]),
        ("charge.declined", 500, []),
    )
    books = Books(positions={0: 5})
    for offset, (kind, amount, lines) in enumerate(kinds):
        books.entries[0, offset] = Booked(kind, SHOP, "eur", amount)
        books.postings[0, offset] = [(account, "eur", moved) for account, moved in lines]
    books.balances[SHOP, "eur"] = Balance(authorized=0, captured=1100, refunded=100, net=1000)
    return log, books


def test_right_books_are_valid() -> None:
    """Balances that are the fold of the events, and entries that add up to zero."""
    log, books = a_day()
    report = log.audit(books)
    assert (found(report), report.verdict, report.with_ledger) == ([], "valid", True)
    assert {"ledger_drift", "ledger_imbalance"} <= set(report.checks)


def test_balance_that_misses_a_posting_has_drifted() -> None:
    """A balance is worth as much as the events say, and the difference is at stake."""
    log, books = a_day()
    books.balances[SHOP, "eur"] = Balance(0, 1050, 100, 950)
    report = log.audit(books)
    assert found(report) == [("ledger_drift", None, 1)]
    assert report.anomalies[0].money == {"eur": 50}


def test_missing_balance_and_balance_of_nobody_have_drifted() -> None:
    """A merchant without a balance, and a balance without events."""
    log, books = a_day()
    books.balances["nobody", "usd"] = books.balances.pop((SHOP, "eur"))
    assert found(log.audit(books)) == [("ledger_drift", None, 2)]


def test_event_not_booked_and_entry_without_event_have_drifted() -> None:
    """The journal has one entry for each committed event below the ledger's position, and no other."""
    log, books = a_day()
    del books.entries[0, 4]
    books.entries[0, 17] = Booked("charge.succeeded", SHOP, "eur", 1)
    assert found(log.audit(books)) == [("ledger_drift", None, 2)]


def test_event_booked_on_other_accounts_has_drifted() -> None:
    """An entry may add up, and the balances be right, and still say something else than the event."""
    log, books = a_day()
    books.postings[0, 3] = [("captures", "eur", 100), ("customer_payments", "eur", -100)]
    assert found(log.audit(books)) == [("ledger_drift", None, 1)]
    del books.postings[0, 3]
    assert found(log.audit(books)) == [("ledger_drift", None, 1)]


def test_ledger_that_is_behind_has_not_drifted() -> None:
    """Only events below the ledger's own position are compared."""
    log, books = a_day()
    books.positions[0] = 1
    for offset in range(1, 5):
        del books.entries[0, offset], books.postings[0, offset]
    books.balances[SHOP, "eur"] = Balance(0, 500, 0, 500)
    report = log.audit(books)
    assert (found(report), report.verdict) == ([], "valid")


def test_event_on_the_log_twice_is_booked_twice() -> None:
    """The ledger books every record; that the event should not be there twice is not its fault."""
    log = WrittenLog("at-least-once")
    command = log.command("k")
    log.executed(command, only="event reply")
    log.event_again(command)
    entry = Booked("charge.succeeded", SHOP, "eur", 500)
    lines = [("customer_payments", "eur", 500), ("captures", "eur", -500)]
    postings = {(0, 0): lines, (0, 1): lines}
    books = Books({0: 2}, {(0, 0): entry, (0, 1): entry}, postings, {(SHOP, "eur"): Balance(0, 1000, 0, 1000)})
    assert found(log.audit(books)) == [("duplicate_charge", "crash_redelivery", 1)]


def test_entry_that_does_not_add_up_is_an_imbalance() -> None:
    """Debits and credits of one entry are equal, in each currency."""
    log, books = a_day()
    books.postings[0, 0].pop()
    report = log.audit(books)
    assert found(report) == [("ledger_imbalance", None, 1)]
    assert report.anomalies[0].money == {"eur": 500}
    assert report.anomalies[0].witnesses[0].places[0].topic == "charges"


def test_amounts_of_two_currencies_do_not_balance_each_other() -> None:
    """Five hundred euros are not five hundred dollars."""
    log, books = a_day()
    books.postings[0, 0][1] = ("captures", "usd", -500)
    report = log.audit(books)
    assert report.anomalies[0].money == {"eur": 500, "usd": 500}


def test_without_a_ledger_its_checks_do_not_claim_to_have_run() -> None:
    """What was not looked at is not reported as looked at."""
    log, _ = a_day()
    report = log.audit()
    assert report.verdict == "valid"
    assert not {"ledger_drift", "ledger_imbalance"} & set(report.checks)
