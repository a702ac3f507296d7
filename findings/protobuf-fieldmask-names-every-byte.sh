#!/usr/bin/env bash
# protobuf-fieldmask 2.0.0 (npm): the mask of a message has a path for each byte of its bytes, and none for what is to be emptied.
#
# A google.protobuf.FieldMask is a set of paths of *fields* (field_mask.proto), and an update replaces what they name. generateFieldMask makes one of an object:
# "all non-function own properties". A field of bytes is a Uint8Array in JavaScript, and an int64 a Long (of protobufjs, and so of @grpc/proto-loader
# unless told otherwise); it takes both for messages and names the insides: `logo.0`, `logo.1` and so on, `seats.low`, `seats.high`. No message has such
# fields, servers refuse the mask, and a picture of a megabyte has a million paths. A message that is there and empty, which is how one clears it,
# is left out, so that the update leaves it as it was. And applyFieldMask makes an empty message of a null one when the mask names a field in it.
#
# Seen: title, logo.0, logo.1, logo.2, seats.low, seats.high, seats.unsigned. Expected: title, logo, seats, address.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . protobuf-fieldmask@2.0.0 protobufjs@8.8.1 long@5.3.2
cat >hall.proto <<'PROTO'
syntax = "proto3";
message Address {
  string city = 1;
}
message Hall {
  string title = 1;
  bytes logo = 2;
  int64 seats = 3;
  Address address = 4;
}
PROTO
cat >mask.cjs <<'JS'
const protobuf = require("protobufjs");
const { applyFieldMask, generateFieldMask } = require("protobuf-fieldmask");

const Hall = protobuf.loadSync("hall.proto").lookupType("Hall");
const hall = Hall.toObject(Hall.decode(Hall.encode(Hall.fromObject({ title: "Night", logo: [1, 2, 3], seats: 5, address: {} })).finish()));
console.log(Object.keys(hall).join(" "));
console.log(generateFieldMask(hall).join(" "));
console.log(JSON.stringify(applyFieldMask({ title: "Night", address: null }, ["title", "address.city"])));
JS
node mask.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
title logo seats address
title logo.0 logo.1 logo.2 seats.low seats.high seats.unsigned
{"title":"Night","address":{}}
SEEN
echo "as described"
