"""The search is run to a small depth, and shown to see: each rule that is switched off is found by its shortest way."""

import pytest

from tests.simulation.model.explore import PLANS, Plan, searched, seen
from tests.simulation.model.mutations import MUTATIONS, Mutation
from tests.simulation.model.search import Search

SHALLOW = {0: 7, 1: 3, 2: 2}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_every_state_of_a_shallow_search_keeps_the_invariants(plan: Plan) -> None:
    report = searched(plan, depth=SHALLOW[plan.acts])
    assert [(found.what, found.root, found.way, found.calm) for found in report.violations] == []
    assert report.depth == SHALLOW[plan.acts]
    assert report.states > 100


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_rule_that_is_switched_off_is_seen(mutation: Mutation) -> None:
    found = seen(mutation)
    assert found is not None
    # Seen because of that rule: with it, nothing is found there.
    with_it = Search(mutation.rules).run(mutation.roots(), depth=found.depth)
    assert [(violation.what, violation.way) for violation in with_it.violations] == []
