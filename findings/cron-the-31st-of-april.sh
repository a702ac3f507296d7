#!/usr/bin/env bash
# aws-cron-parser 1.1.12, @cheap-glitch/mi-cron 1.0.1 and @fregante/mi-cron 2.0.1 (npm): what is due on the 31st is due on the 1st of May as well; "feb" is January.
#
# A field of a cron expression matches the date (crontab(5): "when the minute, hour, and month of year fields match the current time, and ..."), and April has no 31st.
# All three put month and day together to a JavaScript Date without looking whether there is such a day, and take what Date.UTC makes of it: a job of
# the 31st runs on the 1st after a month of 30 days, too, and on the 3rd of March; a job of the 29th of February runs on the 1st of March in other years. Further:
# - aws-cron-parser takes the first number of a list that is not over yet, in the order in which they are written: of "30,0 9" half past nine is left and
#   nine o'clock never comes. Amazon's reference (EventBridge, Cron expressions, Wildcards) has the comma as "includes additional values". Of "0-20/10,45" the 45 is lost.
#   The last Sunday of the month is looked for seven times 24 hours later in the zone of the machine, so that a machine in Berlin, where the clock goes back
#   on that very day, leaves out October of 2026, though the occurrences are in UTC.
# - mi-cron numbers names of months from 0: "feb" is the first month, and "jan" is none (`jan-mar` is 0, 1 and 2).
#   Where both the day of the month and the weekday are given it wants both, where by crontab(5), to which its README points, one of the two is enough.
#
# Seen: 1 May, 1 July and so on, beside croner 11.0.1 (npm), and aws-croniter 2.1.1 (PyPI) for Amazon's form, both of which leave these months out.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . aws-cron-parser@1.1.12 @cheap-glitch/mi-cron@1.0.1 @fregante/mi-cron@2.0.1 croner@11.0.1
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aws-croniter==2.1.1
cat >days.mjs <<'JS'
import amazon from "aws-cron-parser";
import mi from "@cheap-glitch/mi-cron";
import { parseCron as fork } from "@fregante/mi-cron";
import { Cron } from "croner";

const libraries = {
  "aws-cron-parser": (expression, from) => amazon.next(amazon.parse(expression), from),
  "mi-cron": (expression, from) => mi.parseCron.nextDate(expression, from),
  "mi-cron (fork)": (expression, from) => fork.nextDate(expression, from),
  croner: (expression, from) => new Cron(expression, { timezone: "UTC" }).nextRun(from),
};

function tell(expression, start, ...names) {
  for (const name of names) {
    const dates = [];
    for (let date = new Date(start); dates.length < 4; dates.push(date.toISOString().slice(2, 16))) date = libraries[name](expression, date);
    console.log(`${expression} | ${name}: ${dates.join(" ")}`);
  }
}

tell("0 9 31 * ? *", "2026-04-01T00:00Z", "aws-cron-parser");
tell("0 9 31 * *", "2026-04-01T00:00Z", "mi-cron", "mi-cron (fork)", "croner");
tell("0 9 29 2 ? *", "2026-04-01T00:00Z", "aws-cron-parser");
tell("30,0 9 * * ? *", "2026-04-01T00:00Z", "aws-cron-parser");
tell("0-20/10,45 9 * * ? *", "2026-04-01T00:00Z", "aws-cron-parser");
tell("0 9 ? * 1L *", "2026-09-01T00:00Z", "aws-cron-parser");
tell("0 9 1 feb *", "2026-04-01T00:00Z", "mi-cron", "mi-cron (fork)", "croner");
tell("0 9 13 * fri", "2026-04-01T00:00Z", "mi-cron", "mi-cron (fork)", "croner");
JS
cat >days.py <<'PYTHON'
from datetime import datetime, timezone
from aws_croniter import AwsCroniter

for expression, month in ("0 9 31 * ? *", 4), ("30,0 9 * * ? *", 4), ("0-20/10,45 9 * * ? *", 4), ("0 9 ? * 1L *", 9):
    dates = AwsCroniter(expression).get_next(datetime(2026, month, 1, tzinfo=timezone.utc), 4)
    print(f"{expression} | aws-croniter:", *(date.strftime("%y-%m-%dT%H:%M") for date in dates))
PYTHON
{
  TZ=Europe/Berlin timeout 30 node days.mjs
  TZ=Europe/Berlin timeout 30 venv/bin/python days.py
} | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
0 9 31 * ? * | aws-cron-parser: 26-05-01T09:00 26-05-31T09:00 26-07-01T09:00 26-07-31T09:00
0 9 31 * * | mi-cron: 26-05-01T09:00 26-05-31T09:00 26-07-01T09:00 26-07-31T09:00
0 9 31 * * | mi-cron (fork): 26-05-01T09:00 26-05-31T09:00 26-07-01T09:00 26-07-31T09:00
0 9 31 * * | croner: 26-05-31T09:00 26-07-31T09:00 26-08-31T09:00 26-10-31T09:00
0 9 29 2 ? * | aws-cron-parser: 27-03-01T09:00 28-02-29T09:00 29-03-01T09:00 30-03-01T09:00
30,0 9 * * ? * | aws-cron-parser: 26-04-01T09:30 26-04-02T09:30 26-04-03T09:30 26-04-04T09:30
0-20/10,45 9 * * ? * | aws-cron-parser: 26-04-01T09:00 26-04-01T09:10 26-04-01T09:20 26-04-02T09:00
0 9 ? * 1L * | aws-cron-parser: 26-09-27T09:00 26-11-29T09:00 26-12-27T09:00 27-01-31T09:00
0 9 1 feb * | mi-cron: 27-01-01T09:00 28-01-01T09:00 29-01-01T09:00 30-01-01T09:00
0 9 1 feb * | mi-cron (fork): 27-01-01T09:00 28-01-01T09:00 29-01-01T09:00 30-01-01T09:00
0 9 1 feb * | croner: 27-02-01T09:00 28-02-01T09:00 29-02-01T09:00 30-02-01T09:00
0 9 13 * fri | mi-cron: 26-11-13T09:00 27-08-13T09:00 28-10-13T09:00 29-04-13T09:00
0 9 13 * fri | mi-cron (fork): 26-11-13T09:00 27-08-13T09:00 28-10-13T09:00 29-04-13T09:00
0 9 13 * fri | croner: 26-04-03T09:00 26-04-10T09:00 26-04-13T09:00 26-04-17T09:00
0 9 31 * ? * | aws-croniter: 26-05-31T09:00 26-07-31T09:00 26-08-31T09:00 26-10-31T09:00
30,0 9 * * ? * | aws-croniter: 26-04-01T09:00 26-04-01T09:30 26-04-02T09:00 26-04-02T09:30
0-20/10,45 9 * * ? * | aws-croniter: 26-04-01T09:00 26-04-01T09:10 26-04-01T09:20 26-04-01T09:45
0 9 ? * 1L * | aws-croniter: 26-09-27T09:00 26-10-25T09:00 26-11-29T09:00 26-12-27T09:00
SEEN
echo "as described: three libraries know a 31st of April"
