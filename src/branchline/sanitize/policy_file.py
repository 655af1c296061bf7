"""Reading `.branchline/sanitize.yaml`, and the packs that it extends."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

from branchline.config import Problem, bad_files, load_mapping
from branchline.domain.composition import Pack, compose
from branchline.domain.policy import Policy, parse
from branchline.errors import BadInput
from branchline.sanitize.checking import check_masks

_HINT = "Correct the file; docs/reference/configuration.md lists keys and masks."


def read_policy(text: str | bytes, *, file: str = "sanitize.yaml", packs: Sequence[Path] = ()) -> Policy:
    """The policy in a file's text, composed with its packs. Raises BadInput with everything that is wrong in it, each as
    `file:line:key`. `packs`: directories with one file per pack; of two with one name the first counts.
    """
    policy = _read(text, file)
    return compose(
        policy, read_packs(policy.extends, file=file, packs=packs, line=policy.place(file, ("extends",)).line)
    )


def read_packs(names: Sequence[str], *, packs: Sequence[Path], file: str = "", line: int = 0) -> list[Pack]:
    """Packs by name, wanted by this line of a file. Raises BadInput for one that there is not, or that cannot be used."""
    there = _there(packs) if names else {}
    unknown = [Problem(file, line, "extends", _unknown(name, there)) for name in names if name not in there]
    if unknown:
        raise bad_files(
            500,
            [file],
            unknown,
            "Correct `extends:`, or put the pack there: config/sanitization/<name>.yaml.",
        )
    return [_pack(there[name]) for name in dict.fromkeys(names)]


def _there(directories: Sequence[Path]) -> Mapping[str, Path]:
    return {path.stem: path for each in reversed(directories) for path in sorted(each.glob("*.yaml"))}


def _unknown(name: str, there: Mapping[str, Path]) -> str:
    close = difflib.get_close_matches(name, there, 1)
    near = f" (did you mean {close[0]}?)" if close else ""
    return f"there is no pack {name!r}{near}; there are: {', '.join(there) or 'none'}"


def _pack(path: Path) -> Pack:
    file = f"{path.parent.name}/{path.name}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            217, f"The pack {path} cannot be read: {error.strerror}.", "let Branchline's user read it"
        ) from None
    return Pack(file, _read(data, file, pack=True))


def _read(text: str | bytes, file: str, *, pack: bool = False) -> Policy:
    document = load_mapping(file, text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    policy, shape = parse(document.value, file=file, lines=document.lines, pack=pack)
    if not document.problems:
        found = [*shape, *check_masks(policy, file=file)]
        if not found:
            return policy
        problems = tuple(Problem(file, each.line, each.key, each.what) for each in found)
    else:
        problems = document.problems
    raise bad_files(500, [file], problems, _HINT)
