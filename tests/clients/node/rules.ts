// The rules in the protos (buf.validate) and the services say the same: what a validator refuses before it is sent is refused by the service
// with the same fields, and what it lets through the service takes. Each rule is tried on both sides of its bounds.
//
//     node rules.js QUEUE BOOKING WALLET CHECKOUT     each as host:port
//
// Where they differ by nature is not tried: a service counts characters in normalization form C and after surrounding space was cut off, and
// refuses more characters that do not show.

import { deepStrictEqual as same, ok } from "node:assert";
import { fromJson, hasOption, type DescMessage, type JsonObject, type JsonValue, type Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { BookingService } from "./gen/boxoffice/booking/v1/booking_pb.js";
import { CheckoutService } from "./gen/boxoffice/checkout/v1/checkout_pb.js";
import { QueueService } from "./gen/boxoffice/queue/v1/queue_pb.js";
import { WalletService } from "./gen/boxoffice/wallet/v1/wallet_pb.js";
import { field as rule } from "./gen/buf/validate/validate_pb.js";
import { BadRequestSchema } from "./gen/google/rpc/error_details_pb.js";

/** Values at the bounds of a field: within them, and beyond. */
type Edges = { in: JsonValue[]; out: JsonValue[] };

const id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
const a = (times: number) => "a".repeat(times);
const range = (least: number, most: number): Edges => ({ in: [least, most], out: [least - 1, most + 1] });
const span = (least: number, most: number): Edges => ({
  in: [`${least}s`, `${most}s`],
  out: [`${least - 1}s`, `${most + 1}s`],
});
const uuid: Edges = { in: [id, id.toUpperCase()], out: ["", "x", id.replaceAll("-", ""), `{${id}}`, `urn:uuid:${id}`, `${id}0`] };
const user: Edges = { in: ["a", a(64), "김하늘", "Zoë-🎟"], out: [a(65), "a b", "a\u00a0b", "a\u3000", "a\tb", "a\u0000", "a\n"] };
const queue: Edges = { in: ["", "Q.q_9-", a(64)], out: [a(65), "a b", "a/b", "ä", "a\n"] };
const request: Edges = { in: ["", "!", "~", a(128)], out: [a(129), "a b", "é", "a\n"] };
const title: Edges = { in: ["a", a(200), "하".repeat(200), "a\nb"], out: ["", a(201), "a\u0000b", "a\u0085b"] };
const word: Edges = { in: ["", "a b", a(64)], out: [a(65), "a\u0000", "a\n"] };
const line = (most: number): Edges => ({ in: ["", "a b", a(most), "하".repeat(most)], out: [a(most + 1), "a\nb", "a\u0000b", "a\u0085b"] });
const date = { in: ["", "2031-05-01"], out: ["x", "2031-5-1", "2031-05-01T19:00"] };
const page = { in: [0, 1_000, 2_147_483_647], out: [-1] };
const taken: Edges = { in: [[], Array(500).fill(-1)], out: [Array(501).fill(-1)] };
const tokens: Edges = { in: [[], [id, id], Array(1_000).fill(id)], out: [Array(1_001).fill(id), [id, "x"], [""]] };
const sections = (count: number) => [...Array(count).keys()].map((nth) => ({ name: `${nth}`, price: 1, capacity: 1 }));
const priced = (count: number) => [...Array(count).keys()].map((nth) => ({ section: `${nth}`, price: 1 }));
const [none, nowhere] = [{ user_id: "nobody", reservation_id: id }, { user_id: "ann", queue_id: "rules-nowhere" }];
const policy = {
  max_active: range(0, 1_000_000),
  max_waiting: range(0, 10_000_000),
  admit_per_minute: range(1, 10_000_000),
  active_ttl: span(1, 86_400),
  waiting_ttl: span(1, 604_800),
  waiting_grace: span(0, 604_800),
  show_up_within: span(0, 86_400),
  on_expiry: { in: [0, 1, 2], out: [3, -1] },
  opening: { in: [0, 1], out: [3, -1] },
  "message.ko": line(280),
  "message.en": line(280),
};
const policies = Object.fromEntries(Object.entries(policy).map(([name, edges]) => [`policy.${name}`, edges]));

/** Each method whose request has rules: a request that keeps them, and the edges of each rule. */
const table: Record<string, [JsonObject, Record<string, Edges>]> = {
  CreateQueue: [{}, { queue_id: { ...queue, in: [a(64)], out: ["", ...queue.out] }, request_id: request, ...policies }],
  UpdateQueue: [{ queue_id: "rules-nowhere" }, { queue_id: { ...queue, in: [a(63)] }, request_id: request, ...policies }],
  GetQueue: [{}, { queue_id: queue }],
  GetDraw: [{}, { queue_id: queue }],
  GetTokenDraw: [{ token: id }, { token: uuid }],
  ListQueues: [{}, { page_size: page }],
  IssueToken: [nowhere, { queue_id: { ...queue, in: [a(63)] }, user_id: user, priority: range(0, 9), request_id: request }],
  GetToken: [{ token: id }, { token: { in: [id], out: uuid.out.slice(1) } }],
  BatchGetTokens: [{}, { tokens }],
  PollTokens: [{}, { tokens }],
  WatchToken: [{ token: id }, { token: uuid }],
  VerifyToken: [{ token: id }, { token: uuid, queue_id: queue, user_id: { ...user, in: ["", ...user.in] } }],
  CompleteToken: [{ token: id }, { token: uuid, request_id: request }],
  TakeQueueEvents: [{}, { taken }],
  LeaveQueue: [{ token: id }, { token: uuid, request_id: request, user_id: user }],
  CreateConcert: [{ title: "Rules" }, { title, queue_id: queue, request_id: request, time_zone: { in: ["", "Asia/Seoul"], out: [a(65)] } }],
  ListConcerts: [{}, { page_size: page, from_date: date }],
  CreateShow: [
    { concert_id: 1e9, starts_at: "2031-05-01T19:00:00Z", duration_minutes: 90, title: "Rules" },
    {
      starts_at: { in: ["2031-05-01T19:00:00Z"], out: [null] },
      duration_minutes: range(1, 1_440),
      title,
      description: { in: ["", a(4_000)], out: [a(4_001), "a\u0000b"] },
      price: range(0, 1_000_000_000),
      seat_count: range(1, 100_000),
      request_id: request,
      sections: { in: [[], sections(500)], out: [sections(501)] },
      "sections[0].name": { in: ["a", a(100)], out: ["", a(101), "a\u0000b"] },
      "sections[0].price": range(0, 1_000_000_000),
      "sections[0].capacity": { in: [1, 100_000], out: [-1, 100_001] },
      "sections[0].rows[0].name": { in: ["a", a(20)], out: ["", a(21), "a\u0000b"] },
      "sections[0].rows[0].seats": range(1, 100_000),
      "sections[0].rows[0].first_seat": range(1, 100_000),
      max_seats_per_user: range(1, 100_000),
    },
  ],
  UpdateConcert: [
    { concert_id: 1e9 },
    { title, time_zone: { in: ["Asia/Seoul"], out: ["", a(65)] }, queue_id: queue, request_id: request },
  ],
  UpdateShow: [
    { show_id: 1e9 },
    {
      title,
      description: { in: ["", a(4_000)], out: [a(4_001), "a\u0000b"] },
      duration_minutes: range(1, 1_440),
      max_seats_per_user: range(1, 100_000),
      prices: { in: [[], priced(500)], out: [priced(501)] },
      "prices[0].section": { in: ["", a(100)], out: [a(101), "a\u0000b"] },
      "prices[0].price": range(0, 1_000_000_000),
      request_id: request,
    },
  ],
  ListShows: [{ concert_id: 1e9 }, { page_size: page, from_date: date, order: { in: ["", "startsAt"], out: ["starts_at", "title"] } }],
  TakeReservationEvents: [{}, { taken }],
  TakeShowEvents: [{}, { taken }],
  ListShowReservations: [{ show_id: 1e9 }, { page_size: page }],
  ListSeats: [{ concert_id: 1e9, date: "2031-05-01" }, { date: { in: ["2031-05-01"], out: ["x", "1.5.2031", "2031-05-01T19:00"] }, page_size: page }],
  HoldSeats: [
    { user_id: "ann", show_id: 1e9, seat_numbers: [1] },
    {
      user_id: user,
      seat_numbers: { in: [[1], [...Array(50).keys()]], out: [[...Array(51).keys()], [1, 1]] },
      "best_available.count": range(1, 50),
      "best_available.section": { in: ["", a(100)], out: [a(101), "a\u0000b"] },
      request_id: request,
    },
  ],
  ExtendHold: [
    { ...none, payment_id: id, extend_by: "5s" },
    { reservation_id: uuid, user_id: user, payment_id: uuid, extend_by: { in: ["1s", "300s"], out: [null, "0.999s", "300.001s"] }, request_id: request },
  ],
  GetReservation: [none, { reservation_id: uuid, user_id: { ...user, in: ["", ...user.in] } }],
  ListReservations: [{ user_id: "nobody" }, { user_id: user, page_size: page }],
  ConfirmReservation: [{ ...none, payment_id: id }, { reservation_id: uuid, user_id: user, payment_id: uuid, request_id: request }],
  RefundReservation: [{ ...none, payment_id: id }, { reservation_id: uuid, user_id: user, payment_id: uuid }],
  CancelReservation: [none, { reservation_id: uuid, user_id: user, request_id: request }],
  ChargeWallet: [{ user_id: "rules", amount: 1 }, { user_id: user, amount: range(1, 1_000_000_000_000), request_id: request }],
  UseWallet: [{ user_id: "nobody", amount: 1 }, { user_id: user, amount: range(1, 1_000_000_000_000), request_id: request }],
  GetWallet: [{ user_id: "nobody" }, { user_id: user }],
  ListEntries: [{ user_id: "nobody" }, { user_id: user, page_size: page }],
  CreatePayment: [
    { ...none, payment_id: id, amount: 1 },
    { payment_id: uuid, user_id: user, reservation_id: uuid, amount: range(0, 1_000_000_000_000), request_id: request },
  ],
  GetPayment: [{ payment_id: id }, { payment_id: uuid, user_id: { ...user, in: ["", ...user.in] } }],
  ListPayments: [{ user_id: "nobody" }, { user_id: user, page_size: page }],
  CancelPayment: [{ payment_id: id }, { payment_id: uuid, reason: { in: ["", a(128)], out: [a(129), "a\u0000b"] }, request_id: request }],
  Pay: [{ ...none, token: id }, { user_id: user, reservation_id: uuid, request_id: request }],
  GetCheckout: [{ checkout_id: id }, { checkout_id: uuid, user_id: { ...user, in: ["", ...user.in] } }],
  ListCheckouts: [{}, { user_id: { ...user, in: ["", ...user.in] }, status: { in: [0, 4], out: [5, -1] }, page_size: page }],
  RetryCheckout: [{ checkout_id: id }, { checkout_id: uuid }],
  RefundCheckout: [{ checkout_id: id }, { checkout_id: uuid, reason: { in: ["", a(200), "a\nb"], out: [a(201), "a\u0000b"] } }],
  ListOperatorActions: [{}, { who: word, what: word, target: word, page_size: page }],
};

/** The fields of a request that have rules, by their paths. */
function ruled(message: DescMessage, before = ""): string[] {
  return message.fields.flatMap((field) => {
    const path = `${before}${field.name}`;
    const within = `${path}${field.fieldKind === "list" ? "[0]" : ""}.`;
    const inside = field.message?.file.proto.package.startsWith("boxoffice.") ? ruled(field.message, within) : [];
    return hasOption(field, rule) ? [path, ...inside] : inside;
  });
}

/** What stands around a field inside another one, or inside the first element of a list. */
const elements: Record<string, (inner: string) => JsonObject> = {
  "sections[0]": (inner) => ({ name: "a", price: 1, ...(inner.startsWith("rows") ? {} : { capacity: 1 }) }),
  "prices[0]": () => ({ section: "a", price: 1 }),
  "rows[0]": () => ({ name: "a", seats: 1 }),
  best_available: () => ({ count: 1 }),
};

/** A request with one field as told; null leaves it out. */
function changed(base: JsonObject, path: string, value: JsonValue): JsonObject {
  const [name, inner] = [path.split(".")[0]!, path.split(".").slice(1).join(".")];
  const { [name]: _, ...rest } = base;
  const { seat_numbers: __, ...chosen } = rest;
  // Seats are named or wished, and not both.
  const others = name === "best_available" ? chosen : rest;
  if (!inner) return value === null ? others : { ...others, [name]: value };
  const element = elements[name];
  const held = changed(element?.(inner) ?? {}, inner, value);
  return name.endsWith("[0]") ? { ...others, [name.replace("[0]", "")]: [held] } : { ...others, [name]: held };
}

/** The fields that a service refuses in a request; any other answer but that it failed says that the request can be read. */
async function wrong(call: () => unknown): Promise<string[]> {
  try {
    const answer = await call();
    if (typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer) {
      for await (const _ of answer as AsyncIterable<unknown>);
    }
    return [];
  } catch (error) {
    const refusal = ConnectError.from(error);
    const failed = [Code.Internal, Code.Unknown, Code.Unavailable, Code.DeadlineExceeded, Code.Unimplemented, Code.Canceled];
    ok(!failed.includes(refusal.code), refusal.message);
    if (refusal.code !== Code.InvalidArgument) return [];
    return named(refusal.findDetails(BadRequestSchema).flatMap((told) => told.fieldViolations.map((one) => one.field)));
  }
}

/** A stream of requests that has only this one. */
async function* one(message: Message): AsyncIterable<Message> {
  yield message;
}

const named = (paths: string[]) => [...new Set(paths.map((path) => path.replace(/\[\d+\]$/, "")))].sort();
const validator = createValidator();
const disagree: string[] = [];
let tried = 0;
for (const [nth, service] of [QueueService, BookingService, WalletService, CheckoutService].entries()) {
  const transport = createGrpcTransport({ baseUrl: `http://${process.argv[2 + nth]}`, defaultTimeoutMs: 20_000 });
  const client = createClient(service, transport) as unknown as Record<string, (request: unknown) => unknown>;
  for (const method of service.methods) {
    const [base, edges] = table[method.name] ?? [{}, {}];
    same(Object.keys(edges).sort(), ruled(method.input).sort(), `${method.name}: the fields with rules`);
    for (const [path, { in: within, out: beyond }] of Object.entries(edges)) {
      ok(within.length > 0 && beyond.length > 0, `${method.name} ${path}`);
      for (const value of [...within, ...beyond]) {
        // A queue that is there refuses another policy: each attempt creates one of its own.
        const whole = method.name === "CreateQueue" ? { queue_id: `rules-${tried}` } : base;
        const message = fromJson(method.input, changed(whole, path, value));
        const judged = validator.validate(method.input, message);
        if (judged.kind === "error") throw judged.error;
        const refused = judged.kind === "invalid" ? named(judged.violations.map(({ field }) => pathToString(field))) : [];
        const asked = method.methodKind === "bidi_streaming" ? one(message) : message;
        const what = `${method.name} ${path} = ${JSON.stringify(value).slice(0, 80)}`;
        const [meant, told] = [beyond.includes(value) ? [path] : [], await wrong(() => client[method.localName]!(asked))];
        if (`${refused}` !== `${meant}`) disagree.push(`the rules about ${what}: ${refused || "right"}`);
        if (`${told}` !== `${meant}`) disagree.push(`the service about ${what}: ${told || "right"}`);
        tried += 1;
      }
    }
  }
}
same(disagree, []);
console.log(`the rules and the services agree about ${tried} requests`);
