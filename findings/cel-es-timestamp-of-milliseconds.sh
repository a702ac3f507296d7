#!/usr/bin/env bash
# @bufbuild/cel 0.6.1 (npm): `timestamp(1704067200)` is the 20th of January 1970.
#
# In CEL a timestamp of a number is one of seconds since 1970, as `int` of a timestamp gives them (language definition, Functions: "converts to seconds
# since Unix epoch"). The specification's own tests (timestamps.textproto, timestamp_range) want timestamp(253402300800), the first second of the year
# 10000, refused, and timestamp(-62135596801), the last one before the year 1. @bufbuild/cel takes the number for milliseconds. So a moment that goes
# through `int` and back is another one, and a rule that compares a field of seconds with a date holds or fails fifty years off. @bufbuild/protovalidate
# evaluates its rules by it: the same rule in the same .proto file means something else in a browser than in a server in Go or Python.
#
# @marcbachmann/cel-js 8.0.0 (npm) is there to compare.
# Seen: 1970-01-20, false, true and 10000 not refused; cel-js has 2024-01-01, and says false of "before 2000".
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @bufbuild/cel@0.6.1 @bufbuild/protobuf@2.17.0 @marcbachmann/cel-js@8.0.0
cat >moment.mjs <<'JS'
import { run } from "@bufbuild/cel";
import { evaluate } from "@marcbachmann/cel-js";

console.log(`@bufbuild/cel: ${run("string(timestamp(1704067200))")}`);
console.log(`cel-js: ${evaluate("timestamp(1704067200)").toISOString()}`);
console.log(`@bufbuild/cel, there and back: ${run("timestamp(int(timestamp('2024-01-01T00:00:00Z'))) == timestamp('2024-01-01T00:00:00Z')")}`);
const before = "timestamp(1704067200) < timestamp('2000-01-01T00:00:00Z')";
console.log(`@bufbuild/cel, before 2000: ${run(before)}`);
console.log(`cel-js, before 2000: ${evaluate(before)}`);
console.log(`@bufbuild/cel, the year 10000: ${run("string(timestamp(253402300800))")}`);
JS
node moment.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
@bufbuild/cel: 1970-01-20T17:21:07.200Z
cel-js: 2024-01-01T00:00:00.000Z
@bufbuild/cel, there and back: false
@bufbuild/cel, before 2000: true
cel-js, before 2000: false
@bufbuild/cel, the year 10000: 1978-01-11T21:31:40.800Z
SEEN
echo "as described"
