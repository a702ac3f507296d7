#!/usr/bin/env bash
# accept-language-parser 1.5.0 and resolve-accept-language 3.2.2 (npm): a blank at the semicolon of `Accept-Language` turns the choice around.
#
# RFC 9110, 12.4.2: weight = OWS ";" OWS "q=" qvalue. A blank before or after the semicolon is as good as none, and the RFC's own example of Accept
# (12.5.1) has one: "audio/*; q=0.2, audio/basic". accept-language-parser reads "en; q=0.5, ko; q=0.8" as four languages of weight 1: en, q, ko and q.
# resolve-accept-language does not read such an entry at all and falls back to the default. Either gives English to somebody who asked for Korean.
# Further: weight 0 means "not acceptable" (12.4.2), and both choose Korean for "ko;q=0".
#
# The columns below are accept-language-parser, resolve-accept-language, and negotiator 1.1.0 to compare (undefined: nothing is acceptable).
# Seen: en-US en-US ko-KR for a blank on either side, where without blanks all three choose ko-KR.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . accept-language-parser@1.5.0 resolve-accept-language@3.2.2 negotiator@1.1.0
cat >ask.mjs <<'JS'
import parser from "accept-language-parser";
import Negotiator from "negotiator";
import { resolveAcceptLanguage } from "resolve-accept-language";

for (const asked of ["en-US;q=0.5,ko-KR;q=0.8", "en-US; q=0.5, ko-KR; q=0.8", "en-US ;q=0.5, ko-KR ;q=0.8", "ko-KR;q=0"]) {
  const offered = ["en-US", "ko-KR"];
  const chosen = [
    parser.pick(offered, asked),
    resolveAcceptLanguage(asked, offered, "en-US"),
    new Negotiator({ headers: { "accept-language": asked } }).language(offered),
  ];
  console.log(`${asked}: ${chosen.map(String).join(" ")}`);
}
console.log(parser.parse("en; q=0.5, ko; q=0.8").map(({ code, quality }) => `${code} ${quality}`).join(", "));
JS
node ask.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
en-US;q=0.5,ko-KR;q=0.8: ko-KR ko-KR ko-KR
en-US; q=0.5, ko-KR; q=0.8: en-US en-US ko-KR
en-US ;q=0.5, ko-KR ;q=0.8: en-US en-US ko-KR
ko-KR;q=0: ko-KR ko-KR undefined
en 1, q 1, ko 1, q 1
SEEN
echo "as described: two parsers of Accept-Language do not know blanks"
