#!/usr/bin/env bash
# pangolier 0.4.2 and promql_builder 0.0.6 (PyPI), @grafana/promql-builder 0.0.6 (npm): what is built is not the sum that was meant, or no query.
#
# Prometheus' documentation (Querying, Operators, "Binary operator precedence"): operators of one level are left-associative, so that a - b - c is (a - b) - c, and a
# minus before a name belongs to that name. A library that builds queries from objects has to write parentheses where the objects say otherwise:
# - pangolier writes them around what binds less, but not around a right side that binds alike: a - (b - c) is "a - b - c", and a / (b * c) is "a / b * c".
# - promql_builder writes them around each side of an operator, but not after its own minus: neg(add(a, b)) is "-(a) + (b)".
# - @grafana/promql-builder, the same in TypeScript, writes "-[object Object]" for every neg().
# - Both of these leave out an empty list of labels: of mul(a, b).on([]), which matches whatever there is with the one that is there, "on" remains and
#   takes the right side for its labels. ("a * on() group_left() b" is in many rules; `group_left([])` has its parentheses.)
# No error is raised, and the first two are sound queries with another value: a board shows it, an alert goes by it.
#
# The judge is promql-parser 0.12.0, with a = 100, b = 20 and c = 2.
# Seen: 78 for 100 - (20 - 2), 10 for 100 / (20 * 2), -80 for -(100 + 20); and three that are no PromQL.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @grafana/promql-builder@0.0.6
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pangolier==0.4.2 promql_builder==0.0.6 promql-parser==0.12.0

cat >build.cjs <<'JS'
const { add, mul, neg, vector } = require("@grafana/promql-builder");

const [a, b] = [vector("a"), vector("b")];
console.log(neg(add(a, b)).toString());
console.log(mul(a, b).on([]).toString());
JS
node build.cjs >built
cat >judge.py <<'PYTHON'
import operator

import promql_parser
from pangolier.metrics import Metric
from promql_builder.builders.promql import add, mul, neg, vector

values = {"a": 100, "b": 20, "c": 2}
operators = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


def value(tree):
    if isinstance(tree, promql_parser.BinaryExpr):
        return operators[str(tree.op)](value(tree.lhs), value(tree.rhs))
    if isinstance(tree, promql_parser.UnaryExpr):
        return -value(tree.expr)
    return value(tree.expr) if isinstance(tree, promql_parser.ParenExpr) else values[tree.name]


def judged(query):
    try:
        return f"{value(promql_parser.parse(query)):g}"
    except ValueError:
        return "no PromQL"


a, b, c = Metric("a"), Metric("b"), Metric("c")
for meant, built in ("(a + b) * c", (a + b) * c), ("a - (b - c)", a - (b - c)), ("a / (b * c)", a / (b * c)):
    query = built.to_str(pretty=False)
    print(f"pangolier, {meant}: {query} is {judged(query)}, not {judged(meant)}" if judged(query) != judged(meant) else f"pangolier, {meant}: {query}")
a, b = vector("a"), vector("b")
written = [str(neg(add(a, b)).build()), str(mul(a, b).on([]).build()), *open("built").read().splitlines()]
for name, meant, query in zip(("promql_builder",) * 2 + ("@grafana/promql-builder",) * 2, ("-(a + b)", "a * on() b") * 2, written):
    print(f"{name}, {meant}: {query} is {judged(query)}, not {judged(meant)}")
PYTHON
venv/bin/python judge.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
pangolier, (a + b) * c: (a + b) * c
pangolier, a - (b - c): a - b - c is 78, not 82
pangolier, a / (b * c): a / b * c is 10, not 2.5
promql_builder, -(a + b): -(a) + (b) is -80, not -120
promql_builder, a * on() b: (a) * on(b) is no PromQL, not 2000
@grafana/promql-builder, -(a + b): -[object Object] is no PromQL, not -120
@grafana/promql-builder, a * on() b: (a) * on(b) is no PromQL, not 2000
SEEN
echo "as described: three builders of PromQL write another query"
