#!/usr/bin/env bash
# icalendar 7.3.2 (PyPI): in a VTIMEZONE that it writes, summer time begins an hour late.
#
# `Calendar.add_missing_timezones` and `Timezone.from_tzid` write a VTIMEZONE for a zone by its name. By RFC 5545, 3.6.5, the DTSTART of each part is
# the local time at which it begins *by the offset before it*, TZOFFSETFROM; the example there has New York's summer time of 2007 at
# 02:00 with -0500. icalendar writes what clocks show after the change, 03:00, beside the offset before it. That is an instant one hour later, and
# by the file the first hour of summer time is still winter time. The end of summer time is right. Every zone that ever had summer time is
# concerned, New York and Berlin as well as Seoul (1987 and 1988). Who knows the zone by its name and does not look into the file sees nothing; who goes
# by the file is an hour off, icalendar itself with its pytz provider for one: it has 2026-03-29 01:30 UTC at 02:30 in Berlin, which no clock showed.
#
# Seen: the parts with the instants that they stand for, beside those at which zoneinfo has the change:
# America/New_York DAYLIGHT 20070311T030000 by -5:00 is 08:00 UTC (07:00), STANDARD 20071104T020000 by -4:00 is 06:00 UTC (06:00), and so on.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check icalendar==7.3.2 python-dateutil==4.0.0 pytz==2026.6 tzdata==2026.6

cat >onsets.py <<'PYTHON'
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import icalendar
from icalendar.timezone.tzp import TZP


def change(zone, day):
    """The instant near a local day at which the offset changes."""
    at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - timedelta(hours=14)
    before = at.astimezone(zone).utcoffset()
    while at.astimezone(zone).utcoffset() == before:
        at += timedelta(minutes=30)
    return at


for name, year in ("America/New_York", 2007), ("Europe/Berlin", 2026), ("Asia/Seoul", 1988):
    written = icalendar.Timezone.from_tzid(name, first_date=date(year, 1, 1), last_date=date(year + 1, 1, 1))
    for part in written.subcomponents:
        begins, offset = part["dtstart"].dt, part["tzoffsetfrom"].td
        if begins.date() == date(year, 1, 1):
            continue
        by_file = (begins - offset).replace(tzinfo=timezone.utc)
        real = change(ZoneInfo(name), begins.date())
        print(f"{name} {part.name} {begins:%Y-%m-%d %H:%M} from {offset / timedelta(hours=1):+.0f}: {by_file:%H:%M} UTC, really {real:%H:%M}")

berlin = icalendar.Timezone.from_tzid("Europe/Berlin", first_date=date(2026, 1, 1), last_date=date(2027, 1, 1))
instant = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
print("by zoneinfo:", instant.astimezone(ZoneInfo("Europe/Berlin")))
print("by the file:", instant.astimezone(berlin.to_tz(TZP("pytz"), lookup_tzid=False)))
PYTHON
venv/bin/python onsets.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
America/New_York DAYLIGHT 2007-03-11 03:00 from -5: 08:00 UTC, really 07:00
America/New_York STANDARD 2007-11-04 02:00 from -4: 06:00 UTC, really 06:00
Europe/Berlin DAYLIGHT 2026-03-29 03:00 from +1: 02:00 UTC, really 01:00
Europe/Berlin STANDARD 2026-10-25 03:00 from +2: 01:00 UTC, really 01:00
Asia/Seoul DAYLIGHT 1988-05-08 03:00 from +9: 18:00 UTC, really 17:00
Asia/Seoul STANDARD 1988-10-09 03:00 from +10: 17:00 UTC, really 17:00
by zoneinfo: 2026-03-29 03:30:00+02:00
by the file: 2026-03-29 02:30:00+01:00
SEEN
echo "as described"
