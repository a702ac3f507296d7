#!/usr/bin/env bash
# @opentelemetry/core 2.12.1 (npm): W3CTraceContextPropagator passes a sound `traceparent` on as one that nobody can read.
#
# W3C Trace Context, 3.2.2.5: `trace-flags` is a byte, two hex digits; flags that a version does not know must be accepted and set to zero on the way
# out. The propagator reads all eight bits and writes "0" and the hex digits of what it has read: one digit up to 0x0f, as intended, and two from
# 0x10 on, so that the field has three. A service that only forwards the context (no span of its own, as the no-op tracer does) sends that. The next
# one, also with this package, refuses the header and starts a trace of its own. The unknown bits are not set to zero either. It concerns every
# caller whose flags have one of the upper four bits, and those of a later version of the header, which version 00 has to read as far as it knows it.
#
# Seen: "-01" stays; "-11" leaves as "-011" and "-ff" as "-0ff", which the same propagator then does not read; also from version 01.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @opentelemetry/api@1.9.1 @opentelemetry/core@2.12.1
cat >forward.mjs <<'JS'
import { ROOT_CONTEXT, defaultTextMapGetter, defaultTextMapSetter, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";

const propagator = new W3CTraceContextPropagator();
const read = (traceparent) => propagator.extract(ROOT_CONTEXT, { traceparent }, defaultTextMapGetter);
const ids = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
for (const [version, flags] of [["00", "01"], ["00", "11"], ["00", "ff"], ["01", "11"]]) {
  const sent = {};
  propagator.inject(read(`${version}-${ids}-${flags}`), sent, defaultTextMapSetter);
  const next = trace.getSpanContext(read(sent.traceparent)) ? "reads it" : "refuses it";
  console.log(`${version}-…-${flags} is passed on as ${sent.traceparent.replace(ids, "…")}, and the next ${next}`);
}
JS
node forward.mjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
00-…-01 is passed on as 00-…-01, and the next reads it
00-…-11 is passed on as 00-…-011, and the next refuses it
00-…-ff is passed on as 00-…-0ff, and the next refuses it
01-…-11 is passed on as 00-…-011, and the next refuses it
SEEN
echo "as described: @opentelemetry/core 2.12.1 writes three digits of flags"
