#!/usr/bin/env bash
# @bufbuild/cel 0.6.1 and @marcbachmann/cel-js 8.0.0 (npm): what o'clock it is in UTC depends on where the program runs.
#
# CEL's accessors of a timestamp are of UTC, or of the zone that is named: `getHours()` is "get hours from the date in UTC", `getDayOfYear()` and the others
# alike (language definition, Functions); an expression has no other input, and the same one gives the same everywhere. Both libraries put the digits
# of UTC (cel-js: those of a zone that is named) together to a JavaScript Date in the zone of the machine, and read them from there. In the hour that
# is left out in spring there is no such Date, so half past two in UTC is half past three in a program in Berlin. And `getDayOfYear()` divides what has
# passed since New Year by 24 hours: in summer, when it was an hour less, the first hour of each day belongs to the day before. Years
# before 100 are years of the 20th century. A rule over a timestamp, such as one of protovalidate, holds here and fails there.
#
# Seen: hours 2 and 3, days 182 and 181, by TZ alone; and 1999 for the year 99.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @bufbuild/cel@0.6.1 @bufbuild/protobuf@2.17.0 @marcbachmann/cel-js@8.0.0
cat >clock.mjs <<'JS'
import { run } from "@bufbuild/cel";
import { evaluate } from "@marcbachmann/cel-js";

for (const expression of [
  "timestamp('2024-03-31T02:30:00Z').getHours()",
  "timestamp('2024-03-31T02:30:00Z').getHours('UTC')",
  "timestamp('2024-07-01T00:30:00Z').getDayOfYear()",
  "timestamp('0099-06-01T00:00:00Z').getFullYear()",
  "timestamp('0099-06-01T00:00:00Z').getFullYear('UTC')",
])
  console.log(`${process.env.TZ}: ${expression}: @bufbuild/cel ${run(expression)}, cel-js ${evaluate(expression)}`);
JS
for zone in UTC Europe/Berlin; do TZ=$zone node clock.mjs; done | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
UTC: timestamp('2024-03-31T02:30:00Z').getHours(): @bufbuild/cel 2, cel-js 2
UTC: timestamp('2024-03-31T02:30:00Z').getHours('UTC'): @bufbuild/cel 2, cel-js 2
UTC: timestamp('2024-07-01T00:30:00Z').getDayOfYear(): @bufbuild/cel 182, cel-js 182
UTC: timestamp('0099-06-01T00:00:00Z').getFullYear(): @bufbuild/cel 1999, cel-js 99
UTC: timestamp('0099-06-01T00:00:00Z').getFullYear('UTC'): @bufbuild/cel 1999, cel-js 1999
Europe/Berlin: timestamp('2024-03-31T02:30:00Z').getHours(): @bufbuild/cel 3, cel-js 2
Europe/Berlin: timestamp('2024-03-31T02:30:00Z').getHours('UTC'): @bufbuild/cel 3, cel-js 3
Europe/Berlin: timestamp('2024-07-01T00:30:00Z').getDayOfYear(): @bufbuild/cel 181, cel-js 181
Europe/Berlin: timestamp('0099-06-01T00:00:00Z').getFullYear(): @bufbuild/cel 1999, cel-js 99
Europe/Berlin: timestamp('0099-06-01T00:00:00Z').getFullYear('UTC'): @bufbuild/cel 1999, cel-js 1999
SEEN
echo "as described"
