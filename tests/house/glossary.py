"""Words that have another name here: one word per idea."""

FORBIDDEN = {
    "sample": "record",
    "tenant": "workspace",
    "deployment": "endpoint or rollout",
    "checkpointing": "checkpoint",
    "utils": "name the noun",
    "helper": "name the noun",
    "manager": "name the noun",
}
"""Forbidden in names of modules, classes, functions and parameters: what to say instead."""

VERBLESS = ("get_", "do_", "process_", "handle_")
"""Beginnings of function names that say nothing."""

NAMED_BY_OTHERS = frozenset(
    {"get_code", "get_range", "process_bind_param", "process_result_value", "process_options"}
)
"""Names of importlib, obstore, SQLAlchemy and subprocess that ours stand beside."""

MODULES = frozenset({"utils", "common", "helpers", "base", "manager"})
"""No module is called so, except `schemas/common.py`, the words that all schemas use."""
