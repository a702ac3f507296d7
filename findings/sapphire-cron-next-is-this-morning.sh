#!/usr/bin/env bash
# @sapphire/cron 1.2.1 (npm): what comes next after 23:59 is 00:00 of the same day, almost a day ago.
#
# `next(outset)` is to "get the next date that matches". In the last minute of a day the library goes a minute forward, compares hours and minutes with
# the day that begins then, and gives the match the date of the day that ends. So each minute from 23:59:00 to 23:59:59 the next run of "0 0 * * *",
# and of each other expression that matches both days, lies in the past. A program that waits for the difference waits a negative time, that is, not
# at all, asks again, is told the same, and so runs a job of once a day as often as it can for a minute. A program that walks from one run to the next
# ("*/1 * * * *" asked from the run that was told last) never comes past midnight. Where the day that begins is not matched, it is told as if it were: the first
# run after the last minute of a Friday of "0 9 * * 1-5" is 9 o'clock of that Friday.
#
# Seen: the date of the day that ends, for each of the four; croner 11.0.1 (npm) has the day that begins, or Monday.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @sapphire/cron@1.2.1 croner@11.0.1
cat >next.mjs <<'JS'
import { Cron as Sapphire } from "@sapphire/cron";
import { Cron as Croner } from "croner";

for (const [expression, from] of [
  ["0 0 * * *", "2026-01-01T23:58:59Z"],
  ["0 0 * * *", "2026-01-01T23:59:00Z"],
  ["0 0 * * *", "2026-01-01T23:59:59Z"],
  ["0 9 * * 1-5", "2026-01-02T23:59:00Z"],
  ["30 6 1 * *", "2026-01-01T23:59:00Z"],
]) {
  const sapphire = new Sapphire(expression).next(new Date(from));
  const croner = new Croner(expression, { timezone: "UTC" }).nextRun(new Date(from));
  console.log(`${expression} after ${from}: ${sapphire.toISOString().slice(0, 16)}, croner ${croner.toISOString().slice(0, 16)}`);
}

const every = new Sapphire("* * * * *");
let run = new Date("2026-01-01T23:57Z");
const runs = [];
while (runs.length < 5) runs.push((run = every.next(run)).toISOString().slice(8, 16));
console.log(`each minute from 23:57: ${runs.join(" ")}`);
JS
timeout 30 node next.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
0 0 * * * after 2026-01-01T23:58:59Z: 2026-01-02T00:00, croner 2026-01-02T00:00
0 0 * * * after 2026-01-01T23:59:00Z: 2026-01-01T00:00, croner 2026-01-02T00:00
0 0 * * * after 2026-01-01T23:59:59Z: 2026-01-01T00:00, croner 2026-01-02T00:00
0 9 * * 1-5 after 2026-01-02T23:59:00Z: 2026-01-02T09:00, croner 2026-01-05T09:00
30 6 1 * * after 2026-01-01T23:59:00Z: 2026-01-01T06:30, croner 2026-02-01T06:30
each minute from 23:57: 01T23:58 01T23:59 01T00:00 01T00:01 01T00:02
SEEN
echo "as described: after the last minute of a day the next run is in the past"
