// A whole purchase as a web page makes it, with clients that are generated from proto/ and speak gRPC-Web through Connect. The page that
// loads this gets `onSale`, which tells what happened; page.mjs calls it and judges.

import { ConnectError, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { BookingService, ReservationStatus } from "./gen/boxoffice/booking/v1/booking_pb.js";
import { CheckoutService, CheckoutStatus } from "./gen/boxoffice/checkout/v1/checkout_pb.js";
import { QueueService, TokenStatus } from "./gen/boxoffice/queue/v1/queue_pb.js";
import { WalletService } from "./gen/boxoffice/wallet/v1/wallet_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** Somebody who buys; a secured mesh wants their bearer token. */
interface Person {
  userId: string;
  bearer?: string;
}

function clients(baseUrl: string, bearer?: string) {
  const signed: Interceptor = (next) => (call) => {
    if (bearer) call.header.set("authorization", `Bearer ${bearer}`);
    return next(call);
  };
  const edge = createGrpcWebTransport({ baseUrl, interceptors: [signed], defaultTimeoutMs: 20_000 });
  const [line, seats] = [createClient(QueueService, edge), createClient(BookingService, edge)];
  return { line, seats, purse: createClient(WalletService, edge), till: createClient(CheckoutService, edge) };
}

/** What a refused call says of itself. */
async function refusal(call: Promise<unknown>) {
  const error = ConnectError.from(await call.then(() => undefined, (error: unknown) => error));
  const [info] = error.findDetails(ErrorInfoSchema);
  const fields = error.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field).sort();
  const comeBack = error.findDetails(RetryInfoSchema).length > 0;
  return { code: Code[error.code], reason: info?.reason, domain: info?.domain, metadata: info?.metadata, fields, comeBack };
}

async function onSale(edge: string, buyer: Person, other: Person, queueId: string, show: number) {
  const [ann, bob] = [clients(edge, buyer.bearer), clients(edge, other.bearer)];
  const showId = BigInt(show);
  const { userId } = buyer;
  const unsigned = await clients(edge).purse.getWallet({ userId }).then(() => undefined, (error) => refusal(Promise.reject(error)));
  const hers = (await ann.line.issueToken({ queueId, userId })).token!;
  const his = (await bob.line.issueToken({ queueId, userId: other.userId })).token!;

  // Bob's place is followed while Ann buys; the stream ends by itself after he has left.
  const followed: string[] = [];
  let admitted = () => {};
  const untilAdmitted = new Promise<void>((resolve) => (admitted = resolve));
  const following = (async () => {
    for await (const { token } of bob.line.watchToken({ token: his.token }, { timeoutMs: 120_000 })) {
      const status = TokenStatus[token!.status]!;
      if (followed.at(-1) !== status) followed.push(status);
      if (status === "ACTIVE") admitted();
    }
  })();
  const [herTurn, hisTurn] = [{ headers: { "x-queue-token": hers.token } }, { headers: { "x-queue-token": his.token } }];
  const early = await refusal(bob.seats.holdSeats({ userId: other.userId, showId, seatNumbers: [2] }, hisTurn));
  const wrong = await refusal(ann.seats.holdSeats({ userId, showId, seatNumbers: [1, 1] }, herTurn));

  const hold = (await ann.seats.holdSeats({ userId, showId, seatNumbers: [1, 2] }, herTurn)).reservation!;
  const order = { userId, reservationId: hold.reservationId, token: hers.token };
  const poor = await refusal(ann.till.pay(order));
  const again = (await ann.seats.holdSeats({ userId, showId, seatNumbers: [1, 2] }, herTurn)).reservation!;
  const charged = (await ann.purse.chargeWallet({ userId, amount: 100_000n })).wallet!;
  const paid = (await ann.till.pay({ ...order, reservationId: again.reservationId })).checkout!;
  const seen = (await ann.till.getCheckout({ checkoutId: paid.checkoutId, userId })).checkout!;
  const payment = (await ann.purse.getPayment({ paymentId: paid.checkoutId, userId })).payment!;
  const wallet = (await ann.purse.getWallet({ userId })).wallet!;
  const sold = (await ann.seats.getReservation({ reservationId: again.reservationId, userId })).reservation!;

  await untilAdmitted; // her place is his
  const taken = await refusal(bob.seats.holdSeats({ userId: other.userId, showId, seatNumbers: [2, 3] }, hisTurn));
  await bob.line.leaveQueue({ token: his.token });
  await following;
  return {
    unsigned,
    joined: [TokenStatus[hers.status], TokenStatus[his.status]],
    followed,
    refusals: { early, wrong, poor, taken },
    charged: Number(charged.balance),
    paid: [CheckoutStatus[paid.status], CheckoutStatus[seen.status], Number(payment.amount), Number(wallet.balance)],
    sold: [ReservationStatus[sold.status], sold.seatNumbers, sold.paymentId === paid.checkoutId],
  };
}

/** Joins a line and tells what the browser makes of it. */
async function join(edge: string, queueId: string, userId: string) {
  return refusal(clients(edge).line.issueToken({ queueId, userId }));
}

Object.assign(window, { onSale, join });
