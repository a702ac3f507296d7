#!/usr/bin/env bash
# proto3-json-serializer 4.1.0 with protobufjs 7.6.6 (npm): a zero that is there is written as null, and a 64-bit key as eight bytes.
#
# google.protobuf.Int64Value and its sisters exist to tell "zero" from "not said". In ProtoJSON a wrapper is written as the value that it wraps, so a
# BoolValue of false is `false`; null stands for a wrapper that is not there. On the wire a wrapper around zero is empty, and of a message that came by
# the wire toProto3JSON writes null for it: "not sold out" becomes "nobody knows", and protobuf in other languages reads the field as absent.
# And the keys of a map<int64, …>, decimal strings in ProtoJSON, come out as the eight characters under which protobufjs keeps them.
# The same message made in the program (fromProto3JSON, or fromObject for the map) is written as it should be, so that tests without a wire see nothing.
#
# Seen: null for 0, false and "", "1" for 1; the keys 5 and -1 as \x05\0\0\0\0\0\0\0 and eight times \xff.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . proto3-json-serializer@4.1.0 protobufjs@7.6.6
cat >hall.cjs <<'JS'
const protobuf = require("protobufjs");
const { fromProto3JSON, toProto3JSON } = require("proto3-json-serializer");

const root = protobuf.Root.fromJSON(protobuf.common.get("google/protobuf/wrappers.proto"));
protobuf.parse(
  `syntax = "proto3";
  package hall;
  message Hall {
    google.protobuf.Int64Value free = 1;
    google.protobuf.BoolValue sold_out = 2;
    google.protobuf.StringValue note = 3;
    google.protobuf.Int64Value held = 4;
    map<int64, string> rows = 5;
  }`,
  root,
);
const Hall = root.lookupType("hall.Hall");
// By the wire: free 0, sold_out false, note "", held 1.
const wrapped = Hall.decode(Buffer.from("0a00" + "1200" + "1a00" + "22020801", "hex"));
console.log(`wire: ${JSON.stringify({ ...toProto3JSON(wrapped), rows: undefined })}`);
const made = fromProto3JSON(Hall, { free: "0", soldOut: false, note: "", held: "1" });
console.log(`made: ${JSON.stringify({ ...toProto3JSON(made), rows: undefined })}`);

// By the wire: rows 5 and -1.
const keyed = Hall.decode(Buffer.from("2a05" + "0805" + "120141" + "2a0e" + "08ffffffffffffffffff01" + "120142", "hex"));
const hex = (text) => Buffer.from(text, "latin1").toString("hex");
console.log(`wire: ${Object.entries(toProto3JSON(keyed).rows).map(([key, row]) => `${hex(key)} ${row}`)}`);
console.log(`made: ${JSON.stringify(toProto3JSON(Hall.fromObject({ rows: { 5: "A", "-1": "B" } })).rows)}`);
JS
node hall.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
wire: {"free":null,"soldOut":null,"note":null,"held":"1"}
made: {"free":"0","soldOut":false,"note":"","held":"1"}
wire: 0500000000000000 A,ffffffffffffffff B
made: {"5":"A","-1":"B"}
SEEN
echo "as described"
