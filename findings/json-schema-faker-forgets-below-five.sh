#!/usr/bin/env bash
# json-schema-faker 0.6.3 (npm): what is six levels down is made without regard to its schema.
#
# The README's first line: "Generate valid JSON data from JSON Schema definitions". Its `maxDepth: 5`, a "Max recursion depth", reads as if it were against schemas that
# contain themselves, but counts the levels of every schema, also of one that has no `$ref` at all. Within six objects or lists a required member is 0, ""
# or null whatever its `minimum`, `minLength` or `pattern`, a list is empty whatever its `minItems`, and an object, {}, lacks what it requires. An
# API's answer gets there soon: a list of shows with a list of sections with a list of rows with a list of seats is eight. Tests that feed on such data
# fail in code that is right. (That members were missing there was reported once; since then most are there, and wrong.)
#
# ajv 8.20.0 is the judge. The columns are the default, `maxDepth: 9`, and 0.5.9 of the same package.
# Seen: within four all valid; within six none by default, and all in the other columns.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . json-schema-faker@0.6.3 before@npm:json-schema-faker@0.5.9 ajv@8.20.0
cat >levels.mjs <<'JS'
import Ajv from "ajv/dist/2020.js";
import before from "before";
import { generate } from "json-schema-faker";

const ajv = new Ajv.default();
const leaves = {
  number: { type: "integer", minimum: 1, maximum: 9 },
  text: { type: "string", pattern: "^[A-Z]{3}$" },
  list: { type: "array", minItems: 1, maxItems: 2, items: { type: "boolean" } },
  object: { type: "object", required: ["seat"], properties: { seat: { type: "boolean" } } },
};
const inside = (schema, levels) => (levels ? inside({ type: "object", required: ["in"], properties: { in: schema } }, levels - 1) : schema);
const judge = (schema, data) => (ajv.validate(schema, data) ? "valid" : ajv.errors[0].message);
for (const [name, leaf] of Object.entries(leaves)) {
  for (const levels of [4, 6]) {
    const schema = inside(leaf, levels);
    const told = [await generate(schema), await generate(schema, { maxDepth: 9 }), before.generate(schema)].map((data) => judge(schema, data));
    console.log(`${name} within ${levels}: ${told.join(", ")}`);
  }
}
JS
timeout 30 node levels.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
number within 4: valid, valid, valid
number within 6: must be >= 1, valid, valid
text within 4: valid, valid, valid
text within 6: must match pattern "^[A-Z]{3}$", valid, valid
list within 4: valid, valid, valid
list within 6: must NOT have fewer than 1 items, valid, valid
object within 4: valid, valid, valid
object within 6: must have required property 'seat', valid, valid
SEEN
echo "as described: json-schema-faker 0.6.3 makes invalid data from level six"
