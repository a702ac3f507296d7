#!/usr/bin/env bash
# cel-expr-python 0.1.3 (PyPI): the last moment of 2999 is in the year 3000, and `datetime.max` is refused.
#
# "For ever" is often the end of a day far away, `datetime.combine(date(2999, 12, 31), time.max)` or `datetime.max`, in UTC; and "since ever" is `datetime.min`.
# Each is a google.protobuf.Timestamp (timestamp.proto: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z, to the nanosecond), the range that
# CEL has as well (language definition, Overflow). A variable that has such a datetime has another one in the expression: the seconds come from a double, which
# far away is rounded up to the next second, and the microseconds are added once more, so it is a second later. With `datetime.max` and `datetime.min` the
# evaluation is an error instead ("infinite-future", "infinite-past"). The same moments as texts in an expression are right.
#
# Seen: 3000-01-01 00:00:00.999999 for 2999-12-31 23:59:59.999999, that is, the year 3000; the text and the year 2499 are right; max and min refused.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cel-expr-python==0.1.3
cat >until.py <<'PYTHON'
from datetime import date, datetime, time, timezone

from cel_expr_python import cel

environment = cel.NewEnv(variables={"until": cel.Type.TIMESTAMP})
for moment in (datetime.combine(date(2499, 12, 31), time.max), datetime.combine(date(2999, 12, 31), time.max), datetime.max, datetime.min):
    until = {"until": moment.replace(tzinfo=timezone.utc)}
    print(moment)
    for expression in ("until", f"timestamp('{moment.isoformat()}Z')", "until.getFullYear()"):
        answer = environment.compile(expression).eval(data=until)
        print(f"  {expression}: {'refused' if str(answer.type()) == 'ERROR' else answer.value()}")
PYTHON
venv/bin/python until.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
2499-12-31 23:59:59.999999
  until: 2499-12-31 23:59:59.999999+00:00
  timestamp('2499-12-31T23:59:59.999999Z'): 2499-12-31 23:59:59.999999+00:00
  until.getFullYear(): 2499
2999-12-31 23:59:59.999999
  until: 3000-01-01 00:00:00.999999+00:00
  timestamp('2999-12-31T23:59:59.999999Z'): 2999-12-31 23:59:59.999999+00:00
  until.getFullYear(): 3000
9999-12-31 23:59:59.999999
  until: refused
  timestamp('9999-12-31T23:59:59.999999Z'): 9999-12-31 23:59:59.999999+00:00
  until.getFullYear(): refused
0001-01-01 00:00:00
  until: refused
  timestamp('0001-01-01T00:00:00Z'): 0001-01-01 00:00:00+00:00
  until.getFullYear(): refused
SEEN
echo "as described"
