// What the public API answers, as far as the pages read it. For the type checker alone: it is not served.

export interface Concert {
  concertId: number;
  title: string;
  queueId: string;
  timeZone: string;
}

export interface Priced {
  currency: string;
  currencyExponent: number;
}

export interface Show extends Priced {
  showId: number;
  concertId: number;
  startsAt: string;
  localDate: string;
  localTime: string;
  durationMinutes: number;
  title: string;
  description: string;
  price: number;
  seatCount: number;
  opensAt: string | null;
  closesAt: string | null;
  maxSeatsPerUser: number | null;
  status: "SCHEDULED" | "CANCELLING" | "CANCELLED";
  /** Of a show that is called off: how far its refunds are. */
  refunds: { total: number; done: number; parked: number } | null;
}

export interface Queue {
  queueId: string;
  waiting: number;
  registered: number;
  active: number;
  paused: boolean;
  opensAt: string | null;
  opening: "FIFO" | "DRAW";
  onExpiry: "REQUEUE" | "EXPIRE";
  placesPerMinute: number;
  delayReason: Place["delayReason"];
  maxActive: number;
  maxWaiting: number;
  admitPerMinute: number;
  activeTtlSeconds: number;
  waitingTtlSeconds: number;
  waitingGraceSeconds: number;
  showUpWithinSeconds: number;
  withoutBeacon: boolean;
}

export interface Sales {
  held: number;
  sold: number;
  free: number;
  gross: number;
  refunded: number;
  net: number;
}

export interface ShowSales extends Sales, Priced {
  showId: number;
  sections: (Sales & { name: string })[];
}

/** The alerts of one kind. */
export interface Alert {
  program: string;
  kind: string;
  text: string;
  times: number;
  since: string;
  latestAt: string;
  silenced: boolean;
}

/** What needs a person, and the programs that do not tell theirs. */
export interface Alerts {
  alerts: Alert[];
  unread: string[];
}

/** What is known of ten seconds of the last hour. */
export interface HistorySample {
  at: string;
  edges: number;
  refusedPerMinute: number | null;
  p99Seconds: number | null;
  lines: LineSample[];
  shows: ShowSample[];
  parked: number | null;
}

export interface LineSample {
  queueId: string;
  waiting: number;
  registered: number;
  active: number;
  placesPerMinute: number;
}

export interface ShowSample {
  showId: number;
  held: number;
  sold: number;
  net: number;
}

export interface SampledEdge {
  name: string;
  since: string;
  latestAt: string;
}

export interface History {
  samples: HistorySample[];
  edges: SampledEdge[];
}

/** What an operator or a cashier did. */
export interface Action {
  actionId: string;
  who: string;
  role: string | null;
  what: string;
  target: string;
  before: object | null;
  after: object | null;
  outcome: "INTENT" | "DONE" | "REFUSED" | "UNKNOWN";
  reason: string | null;
  createdAt: string;
}

export interface Story {
  paymentId: string;
  attempts: number;
  parkedAt: string | null;
  steps: {
    step: string;
    outcome: "DONE" | "REFUSED" | "UNKNOWN";
    reason: string | null;
    firstAt: string;
    lastAt: string;
    times: number;
  }[];
}

export interface Place {
  token: string;
  queueId: string;
  userId: string;
  status: "REGISTERED" | "WAITING" | "ACTIVE" | "COMPLETED" | "EXPIRED" | "LEFT";
  priority: number;
  ticket: number;
  position: number;
  waitingBehind: number;
  estimatedWaitSecondsLow: number;
  estimatedWaitSecondsHigh: number;
  delayReason: "PAUSED" | "FULL" | "SLOWER" | null;
  enteredAt: string;
  activeUntil: string | null;
  opensAt: string | null;
  message: Message | null;
  pollAfterSeconds: number;
  requeues: number;
}

/** The draw of a queue that opens by lot. A server of an earlier release tells of no beacon. */
export interface Draw {
  commitment: string;
  registered: number;
  secret: string | null;
  root: string | null;
  beacon: string | null;
  seed: string | null;
  rootAt: string | null;
  beaconChain: string | null;
  beaconRound: number | null;
  beaconAt: string | null;
  beaconSignature: string | null;
}

/** What was drawn for one place, and the proof that it took part. */
export interface TokenDraw {
  token: string;
  number: number;
  of: number;
  hash: string;
  proof: DrawProof;
}

export interface DrawProof {
  index: number;
  size: number;
  path: string[];
}

/** What the seller says to everybody in a queue. */
export interface Message {
  ko: string | null;
  en: string | null;
}

export interface ReservedSeat {
  seatNumber: number;
  section: string;
  row: string;
  label: number;
  price: number;
}

export interface Reservation {
  reservationId: string;
  userId: string;
  concertId: number;
  showId: number;
  seatNumbers: number[];
  seats: ReservedSeat[];
  amount: number;
  status: "HELD" | "CONFIRMED" | "EXPIRED" | "CANCELLED" | "REFUNDED";
  expiresAt: string;
  paymentId: string | null;
}

export interface Payment {
  paymentId: string;
  userId: string;
  reservationId: string;
  amount: number;
  status: "PENDING" | "COMPLETED" | "FAILED" | "CANCELLED";
  reason: string | null;
  createdAt: string;
  settledAt: string | null;
  refundAskedAt: string | null;
  refundReason: string | null;
  refundedAt: string | null;
}

export interface Wallet extends Priced {
  userId: string;
  balance: number;
}

export interface Entry {
  kind: "CHARGE" | "USE" | "PAYMENT" | "REFUND";
  amount: number;
  balanceAfter: number;
  createdAt: string;
}

export interface Row {
  name: string;
  firstSeat: number;
  lastSeat: number;
  firstLabel: number;
}

export interface Section {
  name: string;
  price: number;
  standing: boolean;
  firstSeat: number;
  lastSeat: number;
  rows: Row[];
}

export interface Plan {
  showId: number;
  sections: Section[];
}

/** What the document came with: of a show, or of a place. */
export interface Known {
  now: string;
  show?: Show;
  concert?: Concert;
  queue?: Queue;
  place?: Place;
  sale?: ToCome;
}

/** A page of a concert's shows, as the API answers it. */
export interface Shows {
  shows: Show[];
  nextPageToken: string;
}

/** The first page of what is to come from an instant on. */
export interface ToCome {
  from: string;
  concerts: { concert: Concert; page: Shows }[];
  nextPageToken: string;
}

/** What a tab knows of its place, and how it gets to know it. */
export interface News {
  place: Place | null;
  link: "live" | "polling" | "away";
  gone: boolean;
}
