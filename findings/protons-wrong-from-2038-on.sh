#!/usr/bin/env bash
# protons 9.0.2 with protons-runtime 7.0.0 or 8.0.1 (npm): a 64-bit number from 2^31 to 2^32-1 is written as 0 or as another number.
#
# An int64 or uint64 is on the wire as a varint, seven bits a byte with the low ones first, each byte but the last with its top bit set (Protocol Buffers'
# guide on encoding). Of 2^31, that is 80 80 80 80 08, protons writes five bytes 00. The first is the field, with the value 0, and what follows is rubbish where
# the next field should be: sometimes it is skipped and the number is a smaller one, sometimes nobody can read the message. As seconds since 1970
# these are the times from the 19th of January 2038 to 2106; as a size they are the files of 2 to 4 GiB. Numbers from 0 on below and above are right.
# Another fault of the same 64 bits: a fixed64, which is unsigned, is read as a signed number from 2^63 on.
#
# @bufbuild/protobuf 2.17.0 (npm) is there to compare.
# Seen: the number before 2^31 and 2^32 itself sound, those in between 0, 5, 0 and unreadable, and -1 for the fixed64 of 2^64-1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

mkdir 7 8
npm install --silent --no-audit --no-fund --prefix . protons@9.0.2 typescript@5.9.3 @bufbuild/protobuf@2.17.0
npm install --silent --no-audit --no-fund --prefix 7 protons-runtime@7.0.0
npm install --silent --no-audit --no-fund --prefix 8 protons-runtime@8.0.1
cat >ticket.proto <<'PROTO'
syntax = "proto3";
message Ticket {
  uint64 expires = 2;
  fixed64 hash = 3;
}
PROTO
npx protons ticket.proto
cat >build.cjs <<'JS'
const { readFileSync, writeFileSync } = require("node:fs");
const ts = require("typescript");
const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 };
for (const runtime of [7, 8]) writeFileSync(`${runtime}/ticket.mjs`, ts.transpileModule(readFileSync("ticket.ts", "utf8"), { compilerOptions }).outputText);
JS
node build.cjs
cat >expires.mjs <<'JS'
import { BinaryWriter } from "@bufbuild/protobuf/wire";

const hex = (bytes) => Buffer.from(bytes).toString("hex");
for (const expires of [2n ** 31n - 1n, 2n ** 31n, 2n ** 31n + 5n, 3000000000n, 2n ** 32n - 1n, 2n ** 32n])
  console.log(`${expires}: @bufbuild/protobuf ${hex(new BinaryWriter().tag(2, 0).uint64(expires).finish())}`);
for (const runtime of [7, 8]) {
  const { Ticket } = await import(`./${runtime}/ticket.mjs`);
  for (const expires of [2n ** 31n - 1n, 2n ** 31n, 2n ** 31n + 5n, 3000000000n, 2n ** 32n - 1n, 2n ** 32n]) {
    const bytes = Ticket.encode({ expires });
    let read;
    try {
      read = Ticket.decode(bytes).expires;
    } catch {
      read = "unreadable";
    }
    console.log(`${expires}: protons-runtime ${runtime} ${hex(bytes)}, read ${read}`);
  }
  const hash = 2n ** 64n - 1n;
  console.log(`hash ${hash}: protons-runtime ${runtime}, read ${Ticket.decode(Ticket.encode({ hash })).hash}`);
}
JS
node expires.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
2147483647: @bufbuild/protobuf 10ffffffff07
2147483648: @bufbuild/protobuf 108080808008
2147483653: @bufbuild/protobuf 108580808008
3000000000: @bufbuild/protobuf 1080bcc1960b
4294967295: @bufbuild/protobuf 10ffffffff0f
4294967296: @bufbuild/protobuf 108080808010
2147483647: protons-runtime 7 10ffffffff07, read 2147483647
2147483648: protons-runtime 7 100000000000, read 0
2147483653: protons-runtime 7 100500000000, read 5
3000000000: protons-runtime 7 100000000000, read 0
4294967295: protons-runtime 7 10ff00000000, read unreadable
4294967296: protons-runtime 7 108080808010, read 4294967296
hash 18446744073709551615: protons-runtime 7, read -1
2147483647: protons-runtime 8 10ffffffff07, read 2147483647
2147483648: protons-runtime 8 100000000000, read 0
2147483653: protons-runtime 8 100500000000, read 5
3000000000: protons-runtime 8 100000000000, read 0
4294967295: protons-runtime 8 10ff00000000, read unreadable
4294967296: protons-runtime 8 108080808010, read 4294967296
hash 18446744073709551615: protons-runtime 8, read -1
SEEN
echo "as described"
