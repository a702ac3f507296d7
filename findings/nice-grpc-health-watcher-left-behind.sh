#!/usr/bin/env bash
# nice-grpc-server-health 2.0.20 (npm): who watches a server's health may be left with "not serving" for good.
#
# grpc.health.v1.Health, Watch (health.proto): the server says at once what is, and then is to "send a new message whenever the service's serving status
# changes". A balancer that watches takes a server out of its list until it is told otherwise. nice-grpc-server-health reads the state, hands it over to
# be sent, and only then listens for the next change; one that comes in between is not noticed, and the watcher stays with what came before until some
# later change. It is so when a server is unwell and well again with no more between than an `await` of what is there already (a kept answer,
# a resolved promise): it is told as unwell from then on, while Check says that it serves. Changes may be put together; the last one may not be lost.
#
# grpc-health-check 2.1.0 (npm) is there to compare.
# Seen: watched 1 2 (SERVING, NOT_SERVING) and no more, checked 1; grpc-health-check has 1 2 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . nice-grpc@2.1.18 nice-grpc-server-health@2.0.20 grpc-health-check@2.1.0 @grpc/grpc-js@1.14.7
cat >health.cjs <<'JS'
const { Server, ServerCredentials } = require("@grpc/grpc-js");
const { HealthImplementation } = require("grpc-health-check");
const { createChannel, createClient, createServer } = require("nice-grpc");
const { HealthDefinition, HealthServiceImpl, HealthState } = require("nice-grpc-server-health");

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
async function watch(name, port, change) {
  const channel = createChannel(`127.0.0.1:${port}`);
  const health = createClient(HealthDefinition, channel);
  const told = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const { status } of health.watch({ service: "" }, { signal: stop.signal })) told.push(status);
  })().catch(() => {});
  while (told.length === 0) await pause(20);
  await change();
  await pause(1000);
  const { status } = await health.check({ service: "" });
  console.log(`${name}: watched ${told.join(" ")}, checked ${status}`);
  stop.abort();
  await watching;
  channel.close();
}

(async () => {
  const state = HealthState();
  const nice = createServer();
  nice.add(HealthDefinition, HealthServiceImpl(state));
  await watch("nice-grpc-server-health", await nice.listen("127.0.0.1:0"), async () => {
    state.setStatus("unhealthy");
    await null;
    state.setStatus("healthy");
  });

  const official = new HealthImplementation({ "": "SERVING" });
  const server = new Server();
  official.addToServer(server);
  const port = await new Promise((done) => server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, port) => done(port)));
  await watch("grpc-health-check", port, async () => {
    official.setStatus("", "NOT_SERVING");
    await null;
    official.setStatus("", "SERVING");
  });
  process.exit();
})();
JS
timeout 30 node health.cjs | tee seen
diff seen - <<'SEEN' || { echo "the behaviour has changed"; exit 1; }
nice-grpc-server-health: watched 1 2, checked 1
grpc-health-check: watched 1 2 1, checked 1
SEEN
echo "as described"
