#!/usr/bin/env bash
# @aptre/protobuf-es-lite 1.0.2 (npm): a moment before 1970 is sent as one that is two seconds earlier, and the beginning of 1970 not at all.
#
# google.protobuf.Timestamp (timestamp.proto): whole seconds since 1970, which may be negative, and nanos, which are never negative and count
# forward; half a second before 1970 is (-1, 500000000). A field of it is a Date in this library, which writes (-2, -500000000): the seconds one too low and
# the rest with its sign. That is another moment, and no Timestamp (the library itself refuses to write it as JSON). A Date of 0 is taken for a field that is
# not set, in both directions, although a message field has presence (Protocol Buffers' guide on field presence). And every part of a
# millisecond is rounded up when it is read, so that 23:59:59.999500 is the next day.
#
# @bufbuild/protobuf 2.17.0 (npm), from which this is a fork, is there to compare.
# Seen: (-2, -500000000) for half a second before 1970, nothing for its beginning, and the 2nd of January for the end of the 1st.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @aptre/protobuf-es-lite@1.0.2 @bufbuild/protobuf@2.17.0 @bufbuild/buf@1.75.0 typescript@5.9.3
cat >concert.proto <<'PROTO'
syntax = "proto3";
package concert;
import "google/protobuf/timestamp.proto";
message Concert {
  google.protobuf.Timestamp began = 1;
}
PROTO
cat >buf.gen.yaml <<'YAML'
version: v2
plugins:
  - local: protoc-gen-es-lite
    out: .
    opt: target=js
YAML
echo 'version: v2' >buf.yaml
echo '{"type": "module"}' >package.json
PATH=$PWD/node_modules/.bin:$PATH buf generate concert.proto
cat >began.js <<'JS'
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { Concert } from "./concert.pb.js";

for (const began of ["1970-01-01T00:00:00.500Z", "1970-01-01T00:00:00.000Z", "1969-12-31T23:59:59.500Z", "1969-12-31T23:59:58.001Z"]) {
  const bytes = Concert.toBinary(Concert.create({ began: new Date(began) }));
  let sent = "nothing";
  if (bytes.length > 0) {
    const reader = new BinaryReader(bytes);
    reader.tag();
    const { seconds, nanos } = fromBinary(TimestampSchema, reader.bytes());
    sent = `(${seconds}, ${nanos})`;
  }
  const { seconds, nanos } = timestampFromDate(new Date(began));
  console.log(`${began}: sent ${sent}, should be (${seconds}, ${nanos})`);
}
const late = toBinary(TimestampSchema, create(TimestampSchema, { seconds: 86399n, nanos: 999500000 }));
console.log(`1970-01-01T23:59:59.9995Z: read ${Concert.fromBinary(new Uint8Array([10, late.length, ...late])).began.toISOString()}`);
console.log(`1970-01-01T00:00:00Z: read ${Concert.fromBinary(new Uint8Array([10, 0])).began}`);
JS
node began.js | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
1970-01-01T00:00:00.500Z: sent (0, 500000000), should be (0, 500000000)
1970-01-01T00:00:00.000Z: sent nothing, should be (0, 0)
1969-12-31T23:59:59.500Z: sent (-2, -500000000), should be (-1, 500000000)
1969-12-31T23:59:58.001Z: sent (-3, -999000000), should be (-2, 1000000)
1970-01-01T23:59:59.9995Z: read 1970-01-02T00:00:00.000Z
1970-01-01T00:00:00Z: read null
SEEN
echo "as described"
