import base64

from hypothesis import assume, given
from hypothesis import strategies as st

from branchline.redaction import HIDDEN, SHORTEST, Redactor

SECRETS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=SHORTEST, max_size=40)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_is_hidden_wherever_it_stands(secret, before, after):
    assume(secret not in HIDDEN)
    assert secret not in Redactor([secret]).clean(before + secret + after).replace(HIDDEN, "")


def test_a_secret_is_hidden_as_base64_too():
    encoded = base64.b64encode(b"hunter2hunter2").decode()
    assert encoded.rstrip("=") not in Redactor(["hunter2hunter2"]).clean(f"Authorization: Basic {encoded}")


def test_each_line_of_a_secret_of_many_lines_is_hidden():
    redactor = Redactor(["-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----"])
    assert "abcdefgh" not in redactor.clean("the hook printed abcdefgh alone")


def test_the_longer_of_two_secrets_is_hidden_whole():
    assert Redactor(["secret", "secret-and-more"]).clean("x secret-and-more x") == f"x {HIDDEN} x"


def test_words_that_stand_everywhere_are_not_hidden():
    assert Redactor(["on"]).clean("on and on") == "on and on"
