"""The tokens of anonymous sessions."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from volano.accounts import sessions
from volano.accounts.secrets import Pepper
from volano.accounts.sessions import Ticket

OURS = Pepper(b"ours")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

moments = st.integers(10**9, 10**10).map(lambda s: datetime.fromtimestamp(s, UTC))
tickets = st.builds(Ticket, st.uuids().map(lambda u: f"ws_{u.hex}"), st.uuids().map(str), moments)
seconds = st.integers(0, 10**9).map(lambda s: timedelta(seconds=s))


@given(tickets, seconds)
def test_a_token_says_what_was_signed_until_it_expires(ticket: Ticket, before: timedelta) -> None:
    now = ticket.expires_at - before - timedelta(microseconds=1)

    assert sessions.verify(OURS, sessions.sign(OURS, ticket), now) == ticket


@given(tickets, seconds)
def test_an_expired_token_is_refused(ticket: Ticket, after: timedelta) -> None:
    now = ticket.expires_at + after

    assert sessions.verify(OURS, sessions.sign(OURS, ticket), now) is None


@given(tickets)
def test_a_token_of_another_server_is_refused(ticket: Ticket) -> None:
    theirs = sessions.sign(Pepper(b"theirs"), ticket)

    assert sessions.verify(OURS, theirs, ticket.expires_at - timedelta(1)) is None


@given(tickets, st.integers(0, 400), st.characters())
def test_no_letter_of_a_token_can_be_changed(ticket: Ticket, at: int, letter: str) -> None:
    token = sessions.sign(OURS, ticket)
    at %= len(token)
    changed = token[:at] + letter + token[at + 1 :]

    said = sessions.verify(OURS, changed, ticket.expires_at - timedelta(1))
    assert said == (ticket if changed == token else None)


@given(tickets, tickets)
def test_a_signature_fits_no_other_ticket(one: Ticket, other: Ticket) -> None:
    text = sessions.sign(OURS, one).rpartition(".")[0]
    signature = sessions.sign(OURS, other).rpartition(".")[2]

    said = sessions.verify(OURS, f"{text}.{signature}", NOON - timedelta(365_000))
    assert said == (one if one == other else None)


@given(st.text(max_size=300) | st.text("v1.0ab", max_size=60))
def test_nonsense_is_refused(text: str) -> None:
    assert sessions.verify(OURS, text, NOON) is None


def test_what_was_signed_for_another_purpose_is_no_session() -> None:
    text = sessions.sign(OURS, Ticket("ws_1", "c", NOON)).rpartition(".")[0]

    assert sessions.verify(OURS, f"{text}.{OURS.mac('key', text).hex()}", NOON) is None
