#!/usr/bin/env bash
# zod 4.6.7 (npm), z.fromJSONSchema: five kinds of values that their schema allows are refused.
#
# z.fromJSONSchema throws for keywords that it does not know ("not is not supported"), so what it takes one expects it to mean as JSON Schema 2020-12 does:
# - `format: uri-reference` (7.3.5) allows relative references, such as the `source` of most CloudEvents; it wants an absolute URL, as for `uri`.
# - `const` and `enum` (Validation, 6.1.2 and 6.1.3) take any JSON value and compare by value; an object or a list is compared by identity and never equal.
# - `pattern` (6.3.3, Core 6.4) is to be taken with Unicode: \p{L} is a letter; it is taken without, where \p{L} is "p{L}" as it stands.
# - `integer` (6.1.1) is any number without a fraction; above 2^53-1 it is refused, also 2^53, and whatever `maximum` says.
# - `format: date-time` (7.3.1) is RFC 3339's, with leap seconds and t and z in lower case; both are refused.
# ajv 8.20.0 with ajv-formats 3.0.1 takes all of them.
#
# Seen: false for each, where ajv has true; true for the plain ones.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . zod@4.6.7 ajv@8.20.0 ajv-formats@3.0.1
cat >refused.mjs <<'JS'
import formats from "ajv-formats";
import Ajv from "ajv/dist/2020.js";
import { z } from "zod";

const ajv = new Ajv.default();
formats.default(ajv);
const cases = [
  [{ type: "string", format: "uri-reference" }, "https://tickets.example/hall"],
  [{ type: "string", format: "uri-reference" }, "/hall"],
  [{ const: "A" }, "A"],
  [{ const: { row: "A" } }, { row: "A" }],
  [{ enum: [[1, 2], [3, 4]] }, [3, 4]],
  [{ type: "string", pattern: "^[A-Z]+$" }, "ROW"],
  [{ type: "string", pattern: "^\\p{L}+$" }, "Row"],
  [{ type: "integer", maximum: 2 ** 63 }, 2 ** 53],
  [{ type: "string", format: "date-time" }, "2016-12-31T23:59:59Z"],
  [{ type: "string", format: "date-time" }, "2016-12-31T23:59:60Z"],
  [{ type: "string", format: "date-time" }, "2016-12-31t23:59:59z"],
];
for (const [schema, value] of cases) {
  const answers = [z.fromJSONSchema(schema).safeParse(value).success, ajv.validate(schema, value)];
  console.log(`${JSON.stringify(schema)} ${JSON.stringify(value)}: ${answers.join(" ")}`);
}
JS
node refused.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
{"type":"string","format":"uri-reference"} "https://tickets.example/hall": true true
{"type":"string","format":"uri-reference"} "/hall": false true
{"const":"A"} "A": true true
{"const":{"row":"A"}} {"row":"A"}: false true
{"enum":[[1,2],[3,4]]} [3,4]: false true
{"type":"string","pattern":"^[A-Z]+$"} "ROW": true true
{"type":"string","pattern":"^\\p{L}+$"} "Row": false true
{"type":"integer","maximum":9223372036854776000} 9007199254740992: false true
{"type":"string","format":"date-time"} "2016-12-31T23:59:59Z": true true
{"type":"string","format":"date-time"} "2016-12-31T23:59:60Z": false true
{"type":"string","format":"date-time"} "2016-12-31t23:59:59z": false true
SEEN
echo "as described: z.fromJSONSchema of zod 4.6.7 refuses what its schema allows"
