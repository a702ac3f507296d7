#!/usr/bin/env bash
# @protobuf-ts/grpcweb-transport 2.11.1 (npm): the message of an error reads "no%20such%20seat".
#
# gRPC's PROTOCOL-HTTP2 has `grpc-message` percent-encoded: what is outside of %x20-%x24 / %x26-%x7E must be, other bytes may be (tonic encodes blanks
# too), and who reads it decodes. gRPC-Web takes it over with the trailers. GrpcWebFetchTransport hands out RpcError.message as it came, whether status and
# message are in the headers or in the trailer frame of the body. A message in Korean is not readable at all. @grpc/grpc-js, grpc-web and connect decode.
#
# Seen: "no%20such%20%EC%A2%8C%EC%84%9D" both ways; grpc-web 2.1.1 has it decoded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @protobuf-ts/grpcweb-transport@2.11.1 @protobuf-ts/runtime@2.11.1 @protobuf-ts/runtime-rpc@2.11.1 grpc-web@2.1.1 xhr2@0.2.1
cat >refused.cjs <<'JS'
const http = require("node:http");
const { GrpcWebFetchTransport } = require("@protobuf-ts/grpcweb-transport");
const { MessageType } = require("@protobuf-ts/runtime");
const { ServiceType } = require("@protobuf-ts/runtime-rpc");
globalThis.XMLHttpRequest = require("xhr2");
const { GrpcWebClientBase, MethodDescriptor, MethodType } = require("grpc-web");

const status = { "grpc-status": "5", "grpc-message": encodeURIComponent("no such 좌석") };
const trailer = Buffer.from(Object.entries(status).map(([name, value]) => `${name}: ${value}\r\n`).join(""));
const frame = Buffer.concat([Buffer.from([0x80, 0, 0, 0, trailer.length]), trailer]);
const server = http.createServer((asked, answer) => {
  asked.resume();
  const inHeaders = asked.url.endsWith("Headers");
  answer.writeHead(200, { "content-type": "application/grpc-web+proto", ...(inHeaders && status) }).end(inHeaders ? undefined : frame);
});
server.listen(0, "127.0.0.1", async () => {
  const host = `http://127.0.0.1:${server.address().port}`;
  const Nothing = new MessageType("hall.Nothing", []);
  const names = ["Headers", "Trailers"];
  const { methods } = new ServiceType("hall.Hall", names.map((name) => ({ name, I: Nothing, O: Nothing })));
  const transport = new GrpcWebFetchTransport({ baseUrl: host, format: "binary" });
  for (const method of methods) {
    const error = await transport.unary(method, {}, transport.mergeOptions({})).response.catch((error) => error);
    console.log(`protobuf-ts, ${method.name}: ${error.code} ${error.message}`);
  }
  for (const name of names) {
    const bytes = (message) => message;
    const method = new MethodDescriptor(`/hall.Hall/${name}`, MethodType.UNARY, Object, Object, bytes, bytes);
    const call = (done) => new GrpcWebClientBase({ format: "binary" }).rpcCall(`${host}/hall.Hall/${name}`, new Uint8Array(), {}, method, done);
    const error = await new Promise(call);
    console.log(`grpc-web, ${name}: ${error.code} ${error.message}`);
  }
  process.exit();
});
JS
timeout 30 node refused.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
protobuf-ts, Headers: NOT_FOUND no%20such%20%EC%A2%8C%EC%84%9D
protobuf-ts, Trailers: NOT_FOUND no%20such%20%EC%A2%8C%EC%84%9D
grpc-web, Headers: 5 no such 좌석
grpc-web, Trailers: 5 no such 좌석
SEEN
echo "as described: @protobuf-ts/grpcweb-transport 2.11.1 does not decode grpc-message"
