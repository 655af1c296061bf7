"""Reading `.branchline/sanitize.yaml`."""

from __future__ import annotations

from typing import Any

import yaml

from branchline.domain.policy import Policy, parse
from branchline.errors import BadInput
from branchline.sanitize.checking import check_masks

LARGEST = 2**20


class _Loader(yaml.SafeLoader):
    """YAML that refuses a key said twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, list | dict):
            raise yaml.constructor.ConstructorError(None, None, "a key is not text", key_node.start_mark)
        if key in seen:
            text = f"the key {key!r} is there twice, first in line {seen[key]}"
            raise yaml.constructor.ConstructorError(None, None, text, key_node.start_mark)
        seen[key] = key_node.start_mark.line + 1
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_policy(text: str | bytes, *, file: str = "sanitize.yaml") -> Policy:
    """The policy in a file's text. Raises BadInput with everything that is wrong in it."""
    problems: list[str] = []
    document: Any = None
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        if len(decoded) > LARGEST:
            problems.append(f"{file}: is larger than 1 MiB")
        else:
            document = yaml.load(decoded, _Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError:
        problems.append(f"{file}: is not UTF-8")
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problems.append(f"{file}{place}: {getattr(error, 'problem', None) or 'is not YAML'}")
    except RecursionError:
        problems.append(f"{file}: is nested too deeply")
    if not problems:
        policy, wrong = parse(document, file=file)
        problems = [str(problem) for problem in [*wrong, *check_masks(policy, file=file)]]
        if not problems:
            return policy
    listed = "\n".join(f"  {problem}" for problem in problems)
    raise BadInput(
        500, f"The sanitizing policy cannot be used:\n{listed}", "Correct the file; docs list keys and masks."
    )
