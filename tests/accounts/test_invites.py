"""The codes of invitations."""

from hypothesis import given
from hypothesis import strategies as st

from volano.accounts import invites, keys
from volano.accounts.secrets import Pepper
from volano.schemas.common import new_id

workspaces = st.uuids().map(lambda u: f"ws_{u.hex}")
entropies = st.binary(min_size=invites.ENTROPY, max_size=invites.ENTROPY)


@given(workspaces, entropies)
def test_a_code_says_which_workspace_it_leads_to(workspace: str, entropy: bytes) -> None:
    assert invites.workspace(invites.mint(workspace, entropy)) == workspace


@given(workspaces, entropies, st.integers(0, 66), st.sampled_from("0f8zQ_é"))
def test_one_wrong_letter_leads_nowhere(ws: str, entropy: bytes, at: int, letter: str) -> None:
    code = invites.mint(ws, entropy)
    mistyped = code[:at] + letter + code[at + 1 :]

    assert invites.workspace(mistyped) == (ws if mistyped == code else None)


@given(st.text(max_size=200))
def test_nonsense_leads_nowhere(text: str) -> None:
    assert invites.workspace(text) is None


def test_a_key_is_no_code_and_a_code_is_no_key() -> None:
    code = invites.mint(new_id("ws"), bytes(16))

    assert keys.parse(code) is None
    assert invites.workspace(keys.mint(bytes(40))) is None


def test_the_stored_form_does_not_contain_the_code() -> None:
    code = invites.mint(new_id("ws"), bytes(16))

    assert code.encode() not in invites.stored(Pepper(b"x"), code)
