"""The architecture as tests: rooms, sizes, words, who may do what only one place may do."""

import ast

import pytest

from tests.house import code, glossary
from volano.data.kinds import KINDS

MODULES = code.modules()
BY_NAME = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)

LONGEST_FILE = 500
LONGEST_FUNCTION = 60

EVERYWHERE_ALLOWED = {
    "core/db/": "defines it",
    "core/jobs/": "the ledger serves all workspaces",
    "core/segments/compact.py": "finds the workspaces whose inbox is due",
    "core/segments/merge.py": "finds the workspaces with many small segments",
    "core/http/server.py": "asks whether the database answers",
    "core/http/idempotency.py": "sweeps keys that are too old",
    "accounts/authentication.py": "finds the workspace of a key",
    "accounts/service.py": "lists workspaces, and finds one by its name",
    "registry/service.py": "finds runs that nobody will end",
    "serving/following.py": "follows the endpoints of all workspaces",
    "loop/overview.py": "counts what goes on, for those who run the server",
}
"""Who may open a transaction that is bound to no workspace, and why."""

ENVIRONMENT_ALLOWED = {"core/settings.py", "sdk/config.py", "harness/child.py"}

KINDS_ALLOWED = {
    "data/kinds/": "defines them",
    "data/formats/": "reads files of other tools, which hold one",
    "serving/": "turns what is asked into the input of a model",
    "training/recipes/": "trains on one",
    "cli/": "shows them",
    "migrations/autogenerate.py": "tables, a word of Alembic",
}
"""Who may compare with the name of a kind, and why."""

BROAD_EXCEPT_ALLOWED = {
    "app.py": "the boundary of a round of an endless loop",
    "core/http/app.py": "the boundary of a request",
    "core/compute/fork_server.py": "the boundary of a call in a limited process",
    "core/jobs/worker.py": "the boundary of a job",
    "core/segments/compact.py": "the boundary of a row",
    "hosting/launcher.py": "the end of a process",
    "harness/phases.py": "the boundary of a user's code",
}


@BY_NAME
def test_a_file_fits_on_a_few_screens(module: code.Module) -> None:
    assert module.text.count("\n") <= LONGEST_FILE


@BY_NAME
def test_a_function_fits_on_one_screen(module: code.Module) -> None:
    long = [f.name for f in module.functions() if _lines(f) > LONGEST_FUNCTION]
    assert long == []


@BY_NAME
def test_a_module_says_what_it_is(module: code.Module) -> None:
    assert ast.get_docstring(module.tree)


@pytest.mark.parametrize("stage", code.STAGES)
def test_the_init_of_a_stage_holds_its_docstring_only(stage: str) -> None:
    tree = code.Module(code.PACKAGE / stage / "__init__.py").tree
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


@BY_NAME
def test_no_module_is_a_drawer_for_the_rest(module: code.Module) -> None:
    if module.name != "schemas/common.py":
        assert module.path.stem not in glossary.MODULES


@BY_NAME
def test_names_use_the_words_of_the_house(module: code.Module) -> None:
    names = {module.path.stem, *_names(module)}
    allowed = {w for w, place in glossary.ALLOWED_IN.items() if module.name.startswith(place)}
    odd = {n for n in names if glossary.words(n) & (glossary.FORBIDDEN.keys() - allowed)}
    assert odd == set(), {w: glossary.FORBIDDEN.get(w) for n in odd for w in glossary.words(n)}


@BY_NAME
def test_names_of_functions_say_what_is_done(module: code.Module) -> None:
    names = {f.name for f in module.functions() if not f.name.startswith("__")}
    own = names - glossary.NAMED_BY_OTHERS
    assert {name for name in own if name.lstrip("_").startswith(glossary.VERBLESS)} == set()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("_KeyCache2", {"key", "cache"}),
        ("key_cache_2", {"key", "cache"}),
        ("HTTPLane", {"http", "lane"}),
        ("tidy", {"tidy"}),
        ("planes", {"planes"}),
    ],
)
def test_a_name_is_taken_apart_into_its_words(name: str, words: set[str]) -> None:
    assert glossary.words(name) == words


@BY_NAME
def test_only_listed_modules_look_beyond_one_workspace(module: code.Module) -> None:
    if "EVERYWHERE" in {n.id for n in ast.walk(module.tree) if isinstance(n, ast.Name)}:
        assert module.name.startswith(tuple(EVERYWHERE_ALLOWED))


@BY_NAME
def test_only_the_settings_read_the_environment(module: code.Module) -> None:
    reads = {n.attr for n in ast.walk(module.tree) if isinstance(n, ast.Attribute)}
    if reads & {"environ", "getenv"}:
        assert module.name in ENVIRONMENT_ALLOWED


@BY_NAME
def test_only_boundaries_catch_everything(module: code.Module) -> None:
    broad = [n for n in ast.walk(module.tree) if isinstance(n, ast.ExceptHandler) and _is_broad(n)]
    if any(not _raises_again(handler) for handler in broad):
        assert module.name in BROAD_EXCEPT_ALLOWED


@pytest.mark.parametrize("stage", code.STAGES)
def test_statements_are_built_in_the_store_only(stage: str) -> None:
    builders = {"select", "insert", "update", "delete", "upsert"}
    for module in MODULES:
        if module.name.startswith(f"{stage}/") and module.path.stem != "store":
            called = {
                n.func.attr
                for n in ast.walk(module.tree)
                if isinstance(n, ast.Call)
                and isinstance(n.func, ast.Attribute)
                and isinstance(n.func.value, ast.Name)
                and n.func.value.id == "tx"
            }
            assert called & builders == set(), module.name


@BY_NAME
def test_tables_stand_where_migrations_look_for_them(module: code.Module) -> None:
    assigned = [n.value for n in module.tree.body if isinstance(n, ast.Assign)]
    if any(isinstance(v, ast.Call) and ast.unparse(v.func) == "sa.Table" for v in assigned):
        assert module.path.stem in ("store", "tables")


@pytest.mark.parametrize("stage", [s for s in code.STAGES if s != "evaluation"])
def test_every_verb_takes_the_context_or_a_transaction_first(stage: str) -> None:
    for node in code.Module(code.PACKAGE / stage / "service.py").tree.body:
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            assert node.args.args[0].arg in ("ctx", "tx"), node.name


def _names(module: code.Module) -> set[str]:
    """Return the names of classes, functions and parameters."""
    names = {node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)}
    for function in module.functions():
        given = function.args
        all_given = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
        names |= {function.name, *(one.arg for one in all_given if one)}
    return names


def _lines(function: code.Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _is_broad(handler: ast.ExceptHandler) -> bool:
    broad = ("Exception", "BaseException")
    return handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id in broad)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))


@BY_NAME
def test_only_kinds_recipes_pages_and_adapters_ask_which_kind_it_is(module: code.Module) -> None:
    """A kind that is added is one file and one line: no other place branches on it."""
    compared = [
        constant.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Compare | ast.match_case)
        for constant in ast.walk(node if isinstance(node, ast.Compare) else node.pattern)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]
    if KINDS.keys() & set(compared):
        assert module.name.startswith(tuple(KINDS_ALLOWED))
