import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from branchline.domain.app import App, Build, Hooks, Mount
from branchline.domain.build_key import build_key

TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
APP = App(
    name="store",
    type="python:3.11",
    build=Build(tools=("python3",)),
    hooks=Hooks(build="make", deploy="migrate"),
    dependencies={"python3": {"flask": "*", "rich": "13"}},
    mounts={"media": Mount(), "var": Mount()},
)
VARIABLES = {"TOKEN": "correct horse", "B": "2"}
TOOLS = {"python3": "Python 3.11.7", "sqlite3": "3.40.1"}
texts = st.dictionaries(st.text(min_size=1), st.text(), max_size=5)


def shuffled(mapping, seed):
    items = list(mapping.items())
    random.Random(seed).shuffle(items)
    return dict(items)


@settings(deadline=None)
@given(texts, texts, st.integers())
def test_the_order_in_which_things_are_given_does_not_matter(variables, tools, seed):
    app = dataclasses.replace(
        APP,
        mounts=shuffled(APP.mounts, seed),
        dependencies={"python3": shuffled(APP.dependencies["python3"], seed)},
    )
    one = build_key(TREE, APP, variables, tools)
    other = build_key(TREE, app, shuffled(variables, seed), shuffled(tools, seed))
    assert one == other
    assert list(one.inputs) == list(other.inputs)


@settings(deadline=None)
@given(texts, texts)
def test_different_variables_give_different_keys_and_the_difference_is_named(one, other):
    first, second = build_key(TREE, APP, one, TOOLS), build_key(TREE, APP, other, TOOLS)
    assert (first.digest == second.digest) == (one == other)
    changed = {name for name in {**one, **other} if one.get(name) != other.get(name)}
    assert set(first.changed(second)) == {f"variables.{name}" for name in changed}


def test_a_value_moved_to_another_name_is_another_build():
    assert build_key(TREE, APP, {"a": "b"}, {}).digest != build_key(TREE, APP, {}, {"a": "b"}).digest
    assert build_key(TREE, APP, {"a": "bc"}, {}).digest != build_key(TREE, APP, {"ab": "c"}, {}).digest


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"type": "python:3.12"}, ("type",)),
        ({"hooks": Hooks(build="make all", deploy="migrate")}, ("hooks.build",)),
        ({"dependencies": {}}, ("dependencies.python3.flask", "dependencies.python3.rich")),
        ({"mounts": {"media": Mount()}}, ("mounts.var",)),
    ],
)
def test_what_a_build_depends_on_changes_the_key(change, named):
    before = build_key(TREE, APP, VARIABLES, TOOLS)
    after = build_key(TREE, dataclasses.replace(APP, **change), VARIABLES, TOOLS)
    assert before.digest != after.digest
    assert before.changed(after) == named


def test_another_tree_or_tool_version_changes_the_key():
    keys = {
        build_key(TREE, APP, VARIABLES, TOOLS).digest,
        build_key(TREE[::-1], APP, VARIABLES, TOOLS).digest,
        build_key(TREE, APP, VARIABLES, {**TOOLS, "python3": "Python 3.12.0"}).digest,
    }
    assert len(keys) == 3


def test_what_happens_after_the_build_does_not_change_the_key():
    later = dataclasses.replace(
        APP,
        hooks=Hooks(build="make", deploy="other", post_deploy="warm"),
        build=Build(tools=("python3",), timeout=5.0),
    )
    assert build_key(TREE, APP, VARIABLES, TOOLS) == build_key(TREE, later, VARIABLES, TOOLS)


def test_the_listed_inputs_hold_no_value_of_a_variable():
    key = build_key(TREE, APP, VARIABLES, TOOLS)
    assert "correct horse" not in repr(key)
    assert key.inputs["variables.TOKEN"].startswith("sha256:")
    assert key.inputs["tree"] == TREE
    assert key.inputs["tools.python3"] == "Python 3.11.7"
