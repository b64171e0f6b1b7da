"""The plan of customers is a function of its arguments, and says what the run needs."""

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.commands import validate_payload
from simulator.scenario.models import Amounts, Load, Stage
from simulator.workload.plan import Purchase, customer_rng, plan_purchases

MERCHANTS = tuple(f"merchant_{n}" for n in range(1, 9))
seeds = st.integers(min_value=0, max_value=2**63)


def steady(rate: float, duration_ms: float) -> Load:
    """The checkout's customers at one rate."""
    return Load(stages=(Stage(for_=f"{round(duration_ms)}ms", rate=rate),))


def plan(seed: int = 7, rate: float = 80.0, duration_ms: float = 10_000.0) -> tuple[Purchase, ...]:
    return plan_purchases(seed, steady(rate, duration_ms), MERCHANTS)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_the_same_seed_gives_the_same_customers(seed: int) -> None:
    """Two plans of one seed are equal, down to the last amount."""
    assert plan(seed, duration_ms=1_000.0) == plan(seed, duration_ms=1_000.0)


@given(seeds, st.integers(min_value=200, max_value=1_000))
@settings(max_examples=20, deadline=None)
def test_a_longer_run_begins_with_the_customers_of_a_shorter_one(seed: int, duration_ms: int) -> None:
    """The duration only decides how many customers of the seed come."""
    shorter, longer = plan(seed, duration_ms=duration_ms), plan(seed, duration_ms=duration_ms * 2)
    assert shorter == longer[: len(shorter)]
    assert all(purchase.at_ms < duration_ms for purchase in shorter)
    assert all(purchase.at_ms >= duration_ms for purchase in longer[len(shorter) :])


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_every_payload_obeys_the_contract(seed: int) -> None:
    """What customers mean to send is never refused for its form."""
    for step in itertools.chain.from_iterable(purchase.steps for purchase in plan(seed, duration_ms=500.0)):
        charge_id = {} if step.operation == "charge.create" else {"charge_id": "ch_" + "0" * 32}
        validate_payload(step.operation, {**step.payload, **charge_id})


def test_each_step_of_a_purchase_is_an_intent_of_its_own() -> None:
    """Two refunds of one purchase are meant once each, and no auditor may take the second for the first again."""
    load = steady(20.0, 1_000.0).model_copy(update={"journeys": {"pay + refund_part + refund_part": 1}})
    purchases = plan_purchases(7, load, MERCHANTS)
    intents = [step.intent for purchase in purchases for step in purchase.steps]
    assert len(intents) == 3 * len(purchases) == len(set(intents))


def test_other_seeds_give_other_customers() -> None:
    """Seeds differ in who comes and when."""
    assert plan(1) != plan(2)


def test_arrivals_keep_the_rate_and_the_order() -> None:
    """About rate x duration customers come, in the order of their instants, each under its own name."""
    purchases = plan(rate=100.0, duration_ms=60_000.0)
    assert 5_600 < len(purchases) < 6_400
    assert sorted(purchases, key=lambda purchase: purchase.at_ms) == list(purchases)
    intents = [step.intent for purchase in purchases for step in purchase.steps]
    assert len(set(intents)) == len(intents)


def test_the_plan_has_everything_that_can_happen_to_a_payment() -> None:
    """Declines, captures, voids and refunds are all there, and a few merchants have most customers."""
    purchases = plan(rate=100.0, duration_ms=20_000.0)
    operations = Counter(step.operation for purchase in purchases for step in purchase.steps)
    assert {"charge.create", "charge.capture", "charge.void", "refund.create"} == set(operations)
    assert len({purchase.charge.payload["payment_method"] for purchase in purchases}) == 6
    merchants = Counter(purchase.merchant_id for purchase in purchases)
    assert merchants["merchant_1"] > 3 * merchants["merchant_8"] > 0
    assert len({purchase.persona for purchase in purchases}) == 3


def test_a_salt_renames_the_intents_and_nothing_else() -> None:
    """A second run on one log has other names, so that its charges are not taken for the first run's."""
    plain = plan_purchases(7, steady(50.0, 1_000.0), MERCHANTS)
    salted = plan_purchases(7, steady(50.0, 1_000.0), MERCHANTS, salt="b")
    assert [p.charge.intent.replace("i-", "i-b") for p in plain] == [p.charge.intent for p in salted]
    assert [p.charge.payload["amount"] for p in plain] == [p.charge.payload["amount"] for p in salted]


def test_customers_choose_by_seed_and_intent() -> None:
    """A customer's own choices depend on the run's seed and the intent alone."""
    assert customer_rng(7, "i-000001").random() == customer_rng(7, "i-000001").random()
    assert customer_rng(7, "i-000001").random() != customer_rng(7, "i-000002").random()


def test_a_ramp_brings_as_many_as_the_area_under_it() -> None:
    """From 0 to 200 in ten seconds, then down to 50 in ten: about 1,000 and 1,250, and denser where the rate is."""
    load = Load(stages=(Stage(for_="10s", rate=0.0, to=200.0), Stage(for_="10s", rate=200.0, to=50.0)))
    moments_ms = [purchase.at_ms for purchase in plan_purchases(3, load, MERCHANTS)]
    rising = [at_ms for at_ms in moments_ms if at_ms < 10_000.0]
    assert 870 < len(rising) < 1_130
    assert 1_110 < len(moments_ms) - len(rising) < 1_390
    assert 3 * sum(at_ms < 5_000.0 for at_ms in rising) == pytest.approx(len(rising) * 0.75, rel=0.25)
    assert moments_ms == sorted(moments_ms)


def test_a_pause_brings_nobody() -> None:
    """A stage at rate 0 is empty, and the one after it is not."""
    load = Load(stages=(Stage(for_="1s", rate=50.0), Stage(for_="2s", rate=0.0), Stage(for_="1s", rate=50.0)))
    moments_ms = [purchase.at_ms for purchase in plan_purchases(3, load, MERCHANTS)]
    assert not [at_ms for at_ms in moments_ms if 1_000.0 < at_ms < 3_000.0]
    assert [at_ms for at_ms in moments_ms if at_ms > 3_000.0]


def test_the_mix_is_what_the_scenario_says() -> None:
    """Only the personas, currencies, cards and journeys that were named."""
    load = Load(
        stages=(Stage(for_="5s", rate=100.0),),
        personas={"double_clicker": 1},
        currencies={"jpy": 1},
        cards={"pm_card_visa": 1},
        journeys={"hold + void": 1},
        amounts=Amounts(median=500, spread=0.0),
    )
    purchases = plan_purchases(3, load, MERCHANTS)
    assert {purchase.persona for purchase in purchases} == {"double_clicker"}
    assert {tuple(step.operation for step in purchase.steps) for purchase in purchases} == {
        ("charge.create", "charge.void")
    }
    payloads = [purchase.charge.payload for purchase in purchases]
    assert {(p["amount"], p["currency"], p["payment_method"]) for p in payloads} == {(500, "jpy", "pm_card_visa")}


def test_a_plan_without_merchants_is_refused() -> None:
    """Somebody must be paid."""
    with pytest.raises(ValueError, match="no merchant"):
        plan_purchases(1, steady(10.0, 1_000.0), ())
