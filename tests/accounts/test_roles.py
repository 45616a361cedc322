"""The role table and the page made from it."""

from itertools import product
from pathlib import Path

import pytest

from volano.accounts import roles
from volano.accounts.roles import ROLES
from volano.schemas.accounts import PERMISSIONS, Role, Who

PAIRS = list(product(ROLES, ROLES))


def test_the_page_in_docs_is_made_from_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "roles.md"

    assert roles.page() == page.read_text(), "run: python -m volano.accounts.roles"


def test_every_permission_has_a_meaning_and_somebody_who_has_it() -> None:
    assert list(roles.MEANINGS) == list(PERMISSIONS)
    assert all(PERMISSIONS.values())


def test_an_admin_may_everything() -> None:
    assert roles.may("admin") == set(PERMISSIONS)


def test_an_auditor_may_only_look() -> None:
    assert roles.may("auditor") == {"whoami", "read", "read-contributors", "read-audit"}


def test_a_session_may_only_draw() -> None:
    assert roles.may("contributor") == {"whoami", "draw"}


@pytest.mark.parametrize("role", ROLES)
def test_a_caller_may_what_the_table_gives_to_the_role(role: Role) -> None:
    who = Who(workspace="ws_1", role=role)

    assert {p for p in PERMISSIONS if who.may(p)} == roles.may(role)


@pytest.mark.parametrize(("role", "other"), PAIRS)
def test_the_lower_of_two_roles_is_within_both(role: Role, other: Role) -> None:
    lower = roles.lower(role, other)

    assert roles.lower(other, role) == lower
    assert lower is None or (roles.within(lower, role) and roles.within(lower, other))


@pytest.mark.parametrize(("role", "other"), PAIRS)
def test_two_roles_are_within_each_other_only_if_they_are_one(role: Role, other: Role) -> None:
    assert (role == other) == (roles.within(role, other) and roles.within(other, role))
