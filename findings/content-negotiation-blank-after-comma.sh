#!/usr/bin/env bash
# content-negotiation 2.1.4 (PyPI): of "text/html, application/json" only the first is looked for.
#
# RFC 9110, 5.6.1: the members of a list may have blanks on either side of the comma, as most clients write them and the examples of the RFC do (12.5.1:
# "audio/*; q=0.2, audio/basic"). content-negotiation splits at the comma and keeps the blank, so that each member but the first is one like
# " application/json", which nobody offers. decide_content_type and decide_language then raise the error that is to become "406 Not Acceptable", or
# choose what the client wants least. An example of the README has such a header ("text/plain, text/*;q=0.8"), whose second half is never found. Letters
# are another matter to it, too, where they are none by 8.3.1 and by RFC 4647, 2: "ko-kr" for somebody who offers ko-KR, or "Application/JSON".
#
# (webob 1.8.11 is there to compare. The package asks for Python 3.12; it is plain Python, and is installed on what is there.)
# Seen: nothing, or the wrong one, for all but the first line; webob has application/json and Korean for each.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --ignore-requires-python content-negotiation==2.1.4 WebOb==1.8.11

cat >ask.py <<'PYTHON'
from content_negotiation import NoAgreeableContentTypeError, NoAgreeableLanguageError, decide_content_type, decide_language
from webob.acceptparse import create_accept_header, create_accept_language_header

types, languages = ["text/plain", "application/json"], ["en", "ko-KR"]


def decided(decide, asked, offered):
    try:
        return decide([asked], offered)
    except (NoAgreeableContentTypeError, NoAgreeableLanguageError):
        return "nothing"


for asked in (
    "text/html,application/json",
    "text/html, application/json",
    "text/plain;q=0.1, application/json",
    "text/html, application/*;q=0.8",
    "Application/JSON",
):
    compared = create_accept_header(asked).acceptable_offers(types)[0][0]
    print(f"{asked}: {decided(decide_content_type, asked, types)} ({compared})")
for asked in "ja, ko-KR", "en;q=0.1, ko-KR", "ko-kr":
    compared = create_accept_language_header(asked).lookup(languages, default="nothing")
    print(f"{asked}: {decided(decide_language, asked, languages)} ({compared})")
PYTHON
venv/bin/python ask.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
text/html,application/json: application/json (application/json)
text/html, application/json: nothing (application/json)
text/plain;q=0.1, application/json: text/plain (application/json)
text/html, application/*;q=0.8: nothing (application/json)
Application/JSON: nothing (application/json)
ja, ko-KR: nothing (ko-KR)
en;q=0.1, ko-KR: en (ko-KR)
ko-kr: nothing (ko-KR)
SEEN
echo "as described: content-negotiation 2.1.4 finds nothing after a comma and a blank"
