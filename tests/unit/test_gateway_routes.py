"""The table of routes: which paths there are, which methods they have, what stands in them."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.routes import ROUTES, find

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_is_found_by_its_own_path_and_method(route) -> None:
    """Each row of the table is reachable, and only with its method."""
    path = "/" + "/".join("x" if segment is None else segment for segment in route.segments)
    match = find(path.encode())[route.method]
    assert match.route is route
    assert match.parameter == ("x" if None in route.segments else "")


@given(TEXTS)
def test_any_text_is_a_charge_id(text: str) -> None:
    """Percent-encoding carries any text into the path parameter, a slash included."""
    encoded = quote(text, safe="").encode()
    assert find(b"/v1/charges/" + encoded + b"/capture")["POST"].parameter == text
    assert find(b"/v1/idempotency-keys/" + encoded)["GET"].parameter == text


@given(st.binary(max_size=60))
def test_no_path_is_an_accident(path: bytes) -> None:
    """Any bytes are a route or none; nothing raises."""
    find(path)
    find(b"/v1/charges/" + path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"*",
        b"/",
        b"//",
        b"/v1",
        b"/v1/",
        b"/v1/charges/",
        b"/v1/charges/x/",
        b"/v1/charges//capture",
        b"/v1/charges/x/capture/",
        b"/v1/charges/x/settle",
        b"/V1/charges",
        b"/v1/Charges",
        b"//v1/charges",
        b"/v1//charges",
        b"/v1/charges%2Fx",
        b"/v1/idempotency-keys",
        b"/v1/idempotency-keys/a/b",
        b"/healthz/",
    ],
)
def test_what_is_no_route(path: bytes) -> None:
    """Slashes count, and case counts."""
    assert find(path) == {}


@pytest.mark.parametrize("written", ["%00", "%ff", "%C3%28", "%zz", "%2", "%ED%A0%80"])
def test_what_no_json_string_could_hold_is_a_name_as_it_is_written(written: str) -> None:
    """Any text names a charge that may not be there: it has its stored 404 like another."""
    (match,) = find(f"/v1/charges/{written}/void".encode()).values()
    assert (match.route.operation, match.parameter) == ("charge.void", written)


def test_a_path_knows_its_methods() -> None:
    """The collection of charges has two, each with its own route."""
    assert {method: match.route.name for method, match in find(b"/v1/charges").items()} == {
        "POST": "create_charge",
        "GET": "list_charges",
    }
    assert find(b"/v1/%63harges").keys() == {"GET", "POST"}
