#!/usr/bin/env bash
# prom2javascript 0.2.0 on what prom-client 15.1.3 writes (npm): one gauge that is NaN, or below every number, and none of the page can be read.
#
# Prometheus' text format (docs, Exposition formats, "Text format details"): a value is what Go's ParseFloat reads; "NaN, +Inf and -Inf are valid values". They are common:
# a ratio of two counters at 0, a summary's quantile while nothing was seen (Go's client library writes NaN for each), a maximum that was never set. prom-client
# writes NaN as "Nan", which Go reads as well. prom2javascript knows digits and "+Inf", and for any other value fails with "Unable to parse
# metric", for all metrics of the page; also for a number that begins with its point or a plus (".5", "+3").
#
# (prometheus_client 0.26.0 for Python reads them all.)
# Seen: the number of free seats for 0 and +Inf; "Unable to parse metric" for NaN and -Inf.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . prom-client@15.1.3 prom2javascript@0.2.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check prometheus_client==0.26.0
cat >page.mjs <<'JS'
import { writeFileSync } from "node:fs";
import { Gauge, Registry } from "prom-client";
import { getMetricsFromIterator } from "prom2javascript";

for (const wait of [0, Infinity, NaN, -Infinity]) {
  const registry = new Registry();
  new Gauge({ name: "seats_free", help: "Free seats", registers: [registry] }).set(3);
  new Gauge({ name: "seconds_to_wait", help: "How long", registers: [registry] }).set(wait);
  const page = await registry.metrics();
  writeFileSync(String(wait), page);
  const told = await getMetricsFromIterator(page.split("\n").values()).then(
    ({ seats_free }) => `${seats_free.data[0].value} seats`,
    ({ message }) => message,
  );
  console.log(`prom2javascript: ${told}`);
}
JS
cat >page.py <<'PYTHON'
from prometheus_client.parser import text_string_to_metric_families

for wait in "0", "Infinity", "NaN", "-Infinity":
    read = {family.name: family.samples[0].value for family in text_string_to_metric_families(open(wait).read())}
    print(f"prometheus_client: {read['seats_free']:.0f} seats, {read['seconds_to_wait']}")
PYTHON
{
  timeout 30 node page.mjs
  timeout 30 venv/bin/python page.py
} | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
prom2javascript: 3 seats
prom2javascript: 3 seats
prom2javascript: Unable to parse metric [seconds_to_wait Nan]
prom2javascript: Unable to parse metric [seconds_to_wait -Inf]
prometheus_client: 3 seats, 0
prometheus_client: 3 seats, inf
prometheus_client: 3 seats, nan
prometheus_client: 3 seats, -inf
SEEN
echo "as described: prom2javascript 0.2.0 refuses a page for one value that is no number"
