// The whole on-sale by a client that is generated from proto/ with protoc-gen-es and speaks gRPC through Connect: joining, following
// a place live, holding, paying, and reading refusals (ErrorInfo, BadRequest, RetryInfo, PreconditionFailure).
//
//     node on_sale.js QUEUE BOOKING WALLET CHECKOUT     each as host:port
//     KEYS=<the folder `edge` of `boxoffice keys`> …               the same by TLS, with the certificate of the edge

import { deepStrictEqual as same, fail, ok } from "node:assert";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BookingService, ReservationStatus } from "./gen/boxoffice/booking/v1/booking_pb.js";
import { CheckoutService, CheckoutStatus } from "./gen/boxoffice/checkout/v1/checkout_pb.js";
import { QueueService, TokenStatus } from "./gen/boxoffice/queue/v1/queue_pb.js";
import { WalletService } from "./gen/boxoffice/wallet/v1/wallet_pb.js";
import { BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

const keys = process.env.KEYS;
const [ca, cert, key] = ["ca.crt", "tls.crt", "tls.key"].map((file) => (keys ? readFileSync(`${keys}/${file}`) : undefined));
const [scheme, nodeOptions] = keys ? ["https", { ca, cert, key }] : ["http", {}];
// Every call has a deadline.
const at = (address: string | undefined) =>
  createGrpcTransport({ baseUrl: `${scheme}://${address}`, defaultTimeoutMs: 20_000, nodeOptions });
const [queueAt, bookingAt, walletAt, checkoutAt] = process.argv.slice(2);
const line = createClient(QueueService, at(queueAt));
const seats = createClient(BookingService, at(bookingAt));
const purse = createClient(WalletService, at(walletAt));
const till = createClient(CheckoutService, at(checkoutAt));
const run = randomUUID().slice(0, 8); // names that no other run uses
const [ann, bob, queueId] = [`ann-${run}`, `bob-${run}`, `ts-${run}`];

/** The error of a call that must be refused so. */
async function refused(code: Code, reason: string, call: Promise<unknown>): Promise<ConnectError> {
  const error = ConnectError.from(await call.then(() => fail(`${reason} expected`), (error: unknown) => error));
  const info = error.findDetails(ErrorInfoSchema)[0];
  same([Code[error.code], info?.domain, info?.reason], [Code[code], "boxoffice", reason], error.message);
  return error;
}

/** Follows a token until its stream ends, and lets others wait for a status. */
class Follower {
  readonly told: [string, bigint][] = [];
  readonly ended: Promise<void>;
  private waiting: (() => void)[] = [];

  constructor(line: Client<typeof QueueService>, token: string) {
    this.ended = this.follow(line.watchToken({ token }, { timeoutMs: 600_000 }));
  }

  private async follow(stream: AsyncIterable<{ token?: { status: TokenStatus; position: bigint } }>) {
    for await (const { token } of stream) {
      this.told.push([TokenStatus[token!.status], token!.position]);
      this.waiting.splice(0).forEach((wake) => wake());
    }
  }

  async until(status: string): Promise<void> {
    while (!this.told.some(([told]) => told === status)) {
      const news = new Promise<void>((wake) => this.waiting.push(wake));
      await Promise.race([news, this.ended.then(() => fail(`${status} was not told, but ${this.told}`))]);
    }
  }
}

async function openSale(): Promise<bigint> {
  const { queue } = await line.createQueue({ queueId, policy: { maxActive: 1n, activeTtl: { seconds: 120n } } });
  same([queue?.policy?.maxActive, queue?.policy?.maxWaiting], [1n, 100_000n], "a policy, and a default");
  const { concert } = await seats.createConcert({ title: "Strings", queueId });
  const startsAt = timestampFromDate(new Date("2031-05-01T19:00:00Z"));
  const show = { concertId: concert!.concertId, startsAt, durationMinutes: 90, title: "Evening", price: 30_000n, seatCount: 10 };
  return (await seats.createShow(show)).show!.showId;
}

async function refusals(showId: bigint): Promise<void> {
  const wrong = await refused(Code.InvalidArgument, "INVALID_ARGUMENT", seats.holdSeats({ showId, seatNumbers: [1, 1] }));
  const fields = wrong.findDetails(BadRequestSchema)[0]?.fieldViolations.map((violation) => violation.field).sort();
  same(fields, ["seat_numbers", "user_id"], "every wrong field");

  await line.createQueue({ queueId: `full-${run}`, policy: { maxActive: 0n, maxWaiting: 0n } });
  const joining = line.issueToken({ queueId: `full-${run}`, userId: ann });
  const full = await refused(Code.ResourceExhausted, "QUEUE_FULL", joining);
  const after = full.findDetails(RetryInfoSchema)[0]?.retryDelay;
  ok(after && (after.seconds > 0n || after.nanos > 0), "when to come back");

  const spending = purse.useWallet({ userId: bob, amount: 50_001n });
  const poor = await refused(Code.FailedPrecondition, "INSUFFICIENT_FUNDS", spending);
  same(poor.findDetails(PreconditionFailureSchema)[0]?.violations[0]?.type, "INSUFFICIENT_FUNDS", "the precondition");
  await refused(Code.NotFound, "SHOW_NOT_FOUND", seats.getShow({ showId: 987_654_321n }));
}

const showId = await openSale();
for (const userId of [ann, bob, ann, bob]) {
  const { wallet } = await purse.chargeWallet({ userId, amount: 50_000n, requestId: `${userId}-1` });
  same(wallet?.balance, 50_000n, "the same request id is the same charge");
}
const joined = [];
for (const userId of [ann, bob, bob]) joined.push(await line.issueToken({ queueId, userId }));
same(joined.map(({ created }) => created), [true, true, false], "who joins again has the same place");
const [hers, his] = [joined[0]!.token!.token, joined[1]!.token!.token];
same(joined[2]!.token!.token, his, "the place that he had");
const [annFollows, bobFollows] = [new Follower(line, hers), new Follower(line, his)];
await annFollows.until("ACTIVE");
await bobFollows.until("WAITING");
same(bobFollows.told, [["WAITING", 1n]], "bob's place");
const early = line.verifyToken({ token: his, queueId, userId: bob });
await refused(Code.PermissionDenied, "TOKEN_NOT_ACTIVE", early);

const { reservation: hold } = await seats.holdSeats({ userId: ann, showId, seatNumbers: [4] });
const late = await refused(Code.Aborted, "SEAT_TAKEN", seats.holdSeats({ userId: bob, showId, seatNumbers: [4, 5] }));
same(late.findDetails(ErrorInfoSchema)[0]?.metadata, { seat_numbers: "4" }, "which seat is taken");

const order = { userId: ann, reservationId: hold!.reservationId, token: hers, requestId: `${ann}-pays` };
const [paid, again] = [(await till.pay(order)).checkout!, (await till.pay(order)).checkout!]; // clicked twice
same([paid.status, paid.amount], [CheckoutStatus.COMPLETED, 30_000n], "the checkout");
same(again.checkoutId, paid.checkoutId, "the same checkout");
same((await purse.getWallet({ userId: ann })).wallet?.balance, 20_000n, "paid once");
const { reservation: sold } = await seats.getReservation({ reservationId: hold!.reservationId });
same([sold?.status, sold?.paymentId], [ReservationStatus.CONFIRMED, paid.checkoutId], "the reservation");

await annFollows.ended; // a stream ends after a final status
same(annFollows.told.at(-1), ["COMPLETED", 0n], "the end of ann's stream");
await bobFollows.until("ACTIVE"); // her place is his
await line.leaveQueue({ token: his });
await bobFollows.ended;
same(bobFollows.told.at(-1), ["LEFT", 0n], "the end of bob's stream");
await refusals(showId);
console.log(`sold to a TypeScript client: ${paid.checkoutId}, after ${bobFollows.told.length} messages of a stream`);
