#!/usr/bin/env bash
# cel-expr-python 0.1.3 and protovalidate 2.1.0 (PyPI), both on cel-cpp: a part of a string that reaches its end cannot be taken.
#
# `substring(start, end)` of CEL's string extension is the part from start up to, and without, end; the specification's tests have 'ta©o©αT'.substring(7, 7),
# where 7 is the size, as sound, and only what lies beyond the size as an error (string_ext.textproto). cel-cpp takes (7, 7) and (4, 6) of 'tacocat', but not (4, 7):
# it says that the end is greater than the size, which it is not. substring(4), without an end, has the same part. As long as the string is longer than
# what one asks for all is well: a rule of protovalidate about the first three letters holds for "ABCD" and raises an EvaluationError for "ABC".
#
# Seen: an error where the end is the size, the part itself everywhere else; protovalidate raises for "ABC" only.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check cel-expr-python==0.1.3 protovalidate==2.1.0 protobuf==7.36.2
cat >parts.py <<'PYTHON'
import protovalidate
from cel_expr_python import cel
from cel_expr_python.ext import ext_strings
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def field(number, content):
    """A field of bytes, shorter than 128 of them, with a number from 1 to 2047."""
    tag = number << 3 | 2
    return bytes([tag] if tag < 128 else [tag & 127 | 128, tag >> 7]) + bytes([len(content)]) + content


# message Seat { string label = 1 [(buf.validate.field).cel = {id: "hall" message: "not of this hall" expression: "this.substring(0, 3) == 'ABC'"}]; }
rule = field(1, b"hall") + field(2, b"not of this hall") + field(3, b"this.substring(0, 3) == 'ABC'")
file = descriptor_pb2.FileDescriptorProto(name="hall.proto", package="hall", syntax="proto3")
label = file.message_type.add(name="Seat").field.add(name="label", number=1, type="TYPE_STRING", label="LABEL_OPTIONAL")
label.options.MergeFromString(field(1159, field(23, rule)))
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Seat = message_factory.GetMessageClass(pool.FindMessageTypeByName("hall.Seat"))

environment = cel.NewEnv(variables={}, extensions=[ext_strings.ExtStrings()])
for expression in ("'tacocat'.substring(4)", "'tacocat'.substring(7, 7)", "'tacocat'.substring(4, 6)", "'tacocat'.substring(4, 7)"):
    part = environment.compile(expression).eval(data={})
    print(f"cel-expr-python: {expression}: {'error' if str(part.type()) == 'ERROR' else repr(part.value())}")
for label in ("ABCD", "XYZ0", "ABC"):
    try:
        print(f"protovalidate: {label}: {[violation.proto.message for violation in protovalidate.collect_violations(Seat(label=label))]}")
    except protovalidate.EvaluationError:
        print(f"protovalidate: {label}: EvaluationError")
PYTHON
venv/bin/python parts.py | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
cel-expr-python: 'tacocat'.substring(4): 'cat'
cel-expr-python: 'tacocat'.substring(7, 7): ''
cel-expr-python: 'tacocat'.substring(4, 6): 'ca'
cel-expr-python: 'tacocat'.substring(4, 7): error
protovalidate: ABCD: []
protovalidate: XYZ0: ['not of this hall']
protovalidate: ABC: EvaluationError
SEEN
echo "as described"
