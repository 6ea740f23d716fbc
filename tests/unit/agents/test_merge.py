from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from greenline.agents.merge import merge

# Names without a meaning of their own for the merge.
keys = st.sampled_from(["a", "b", "c"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(keys, json_values, max_size=3)


def paths(value: Any, prefix: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """What is not an object, by its path; empty objects too, as they stand for themselves."""
    if not isinstance(value, dict) or not value:
        return {prefix: value}
    return {path: leaf for key, child in value.items() for path, leaf in paths(child, (*prefix, key)).items()}


@given(objects)
def test_an_empty_patch_changes_nothing(stored: Any) -> None:
    assert merge(stored, {}) == stored


@given(objects)
def test_a_thing_merged_with_itself_stays(stored: Any) -> None:
    assert merge(stored, stored) == stored


@given(objects, objects)
def test_merging_twice_is_merging_once(stored: Any, patch: Any) -> None:
    once = merge(stored, patch)

    assert merge(once, patch) == once


@given(objects, objects)
def test_neither_side_is_changed(stored: Any, patch: Any) -> None:
    before = copy.deepcopy((stored, patch))

    merge(stored, patch)

    assert (stored, patch) == before


@given(objects, objects)
def test_every_leaf_of_the_patch_arrives(stored: Any, patch: Any) -> None:
    merged = paths(merge(stored, patch))

    for path, leaf in paths(patch).items():
        if leaf != {}:
            assert merged[path] == leaf


@given(objects, objects)
def test_what_the_patch_does_not_mention_stays(stored: Any, patch: Any) -> None:
    merged, mentioned = paths(merge(stored, patch)), paths(patch)

    def untouched(path: tuple[str, ...]) -> bool:
        return not any(path[: len(other)] == other or other[: len(path)] == path for other in mentioned)

    assert all(merged[path] == leaf for path, leaf in paths(stored).items() if untouched(path))


def test_lists_are_replaced_as_a_whole() -> None:
    assert merge({"a": [1, 2], "b": 1}, {"a": [3]}) == {"a": [3], "b": 1}


def test_another_kind_of_object_replaces_the_old_one() -> None:
    stored = {"backup_llm_config": {"preference": "override", "order": ["gpt-4o"]}}

    assert merge(stored, {"backup_llm_config": {"preference": "disabled"}}) == {
        "backup_llm_config": {"preference": "disabled"}
    }
    assert merge(stored, {"backup_llm_config": {"preference": "override"}}) == stored


def test_a_locator_replaces_another_locator() -> None:
    stored = {"api_key": {"secret_id": "s"}}

    assert merge(stored, {"api_key": {"env_var_label": "KEY"}}) == {"api_key": {"env_var_label": "KEY"}}
