"""Words that have another name here: one word per idea, and no metaphors."""

import re

FORBIDDEN = {
    "annotation": "one person's answer in labeling, else label",
    "checkpointing": "checkpoint",
    "deployment": "endpoint or rollout",
    "desk": "batcher",
    "gift": "contribution",
    "giver": "contributor",
    "heed": "cancel_if_requested",
    "helper": "name the noun",
    "helpers": "name the noun",
    "lane": "connection, executor or queue",
    "lanes": "connections, executor or queues",
    "looked": "cached",
    "manager": "name the noun",
    "sample": "record",
    "samples": "records",
    "standing": "row_counts",
    "submission": "record",
    "submissions": "records",
    "tenant": "workspace",
    "tenants": "workspaces",
    "tidy": "what is removed or requested",
    "util": "name the noun",
    "utils": "name the noun",
    "verdict": "what a curator, or the ledger of a failed job, decides",
    "verdicts": "what curators decide",
}
"""Forbidden in names of modules, classes, functions and parameters: what to say instead."""

ALLOWED_IN = {
    "annotation": ("labeling/",),
    "verdict": ("curation/", "core/jobs/"),
    "verdicts": ("curation/",),
}
"""Where a forbidden word has its own meaning."""

VERBLESS = ("get_", "do_", "process_", "handle_")
"""Beginnings of function names that say nothing."""

NAMED_BY_OTHERS = frozenset(
    {"get_code", "get_range", "process_bind_param", "process_result_value", "process_options"}
)
"""Names of importlib, obstore, SQLAlchemy and subprocess that ours stand beside."""

MODULES = frozenset({"utils", "common", "helpers", "base", "manager"})
"""No module is called so, except `schemas/common.py`, the words that all schemas use."""


def words(name: str) -> set[str]:
    """Return the words of which a name is made: `_KeyCache2` and `key_cache_2` are key, cache."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
