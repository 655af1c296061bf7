"""Secrets in the forms in which hooks and errors show them."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from branchline.errors import Failed
from branchline.redaction import Redactor

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
SECRET = 'it\'s "5\\6" <b>&+/= ünd mehr'


@given(before=TEXT, after=TEXT)
def test_a_secret_is_hidden_wherever_it_stands_inside_base64(before: str, after: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        shown = Redactor(["hunter2/hunter3"]).clean(
            encode((before + "hunter2/hunter3" + after).encode()).decode()
        )
        for start in range(9):
            part = "hunter2/hunter3"[start:][:6]
            assert all(
                encode(bytes(shift) + part.encode()).decode()[-(-shift * 8 // 6) : (shift + 6) * 8 // 6]
                not in shown
                for shift in range(3)
            )


def test_variables_as_applications_are_told_them_are_hidden() -> None:
    told = json.dumps(
        {"A": "x", "KEY": f"-----BEGIN-----\n{SECRET}\n-----END-----", "Z": SECRET}, sort_keys=True
    )
    shown = Redactor([f"-----BEGIN-----\n{SECRET}\n-----END-----", SECRET]).clean(
        base64.b64encode(told.encode()).decode()
    )
    assert shown.count("[hidden]") == 2
    before = shown.split("[hidden]")[0]
    assert base64.b64decode(before[: len(before) // 4 * 4]).startswith(b'{"A": "x", "KEY"')


def test_a_secret_is_hidden_as_json_python_urls_and_html_write_it() -> None:
    redactor = Redactor([SECRET])
    for written in (
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(SECRET).replace("/", "\\/"),
        repr(SECRET),
        f"?q={quote(SECRET)}",
        f"?q={quote(SECRET, safe='')}",
        f"?q={quote_plus(SECRET)}",
        html.escape(SECRET),
    ):
        shown = redactor.clean(written)
        assert "[hidden]" in shown
        assert not {"mehr", "5", "6"} & set(shown.replace("[hidden]", " ").split())


def test_an_error_that_goes_on_holds_no_secret_nor_do_those_behind_it() -> None:
    redactor = Redactor(["hunter2hunter2"])
    cause = ValueError("bad line: hunter2hunter2", 7)
    cause.__context__ = KeyError("hunter2hunter2")
    failed = Failed(470, "It said hunter2hunter2.", "do not say hunter2hunter2")
    failed.__cause__ = cause
    redactor.clean_error(failed)
    assert str(failed) == "It said [hidden]. [B470]\n  next: do not say [hidden]"
    assert failed.args == (470, "It said [hidden].", "do not say [hidden]")
    assert cause.args == ("bad line: [hidden]", 7)
    assert cause.__context__.args == ("[hidden]",)
