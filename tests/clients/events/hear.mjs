// Hears events as a program of somebody else's does: the signature checked by the library of Standard Webhooks. The secret is in
// WEBHOOK_SECRET. By TLS, with the pair in the folder KEYS. Prints its port, then a line for each event: its type, or WRONG and why.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

const pair = (kind) => readFileSync(`${process.env.KEYS}/tls.${kind}`);
const server = createServer({ cert: pair("crt"), key: pair("key") }, async (request, response) => {
  let body = "";
  for await (const part of request.setEncoding("utf8")) body += part;
  let told;
  try {
    told = webhook.verify(body, request.headers).type;
    response.statusCode = 204;
  } catch (error) {
    told = `WRONG ${error}`;
    response.statusCode = 400;
  }
  console.log(told);
  response.end();
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
