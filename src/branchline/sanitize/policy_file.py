"""Reading `.branchline/sanitize.yaml`."""

from __future__ import annotations

from branchline.config import Problem, bad_files, load_mapping
from branchline.domain.policy import Policy, parse
from branchline.sanitize.checking import check_masks


def read_policy(text: str | bytes, *, file: str = "sanitize.yaml") -> Policy:
    """The policy in a file's text. Raises BadInput with everything that is wrong in it, each as `file:line:key`."""
    document = load_mapping(file, text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    policy, shape = parse(document.value, file=file, lines=document.lines)
    if not document.problems:
        found = [*shape, *check_masks(policy, file=file)]
        if not found:
            return policy
        problems = tuple(Problem(file, each.line, each.key, each.what) for each in found)
    else:
        problems = document.problems
    raise bad_files(
        500, [file], problems, "Correct the file; docs/reference/configuration.md lists keys and masks."
    )
