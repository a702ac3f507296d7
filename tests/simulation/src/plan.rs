//! What a seed decides: the sale, its people and what will go wrong when.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::{KNOWN, hall::Hall};

/// Two replicas of each service.
pub const SERVERS: [&str; 8] =
    ["queue-1", "queue-2", "booking-1", "booking-2", "wallet-1", "wallet-2", "edge-1", "edge-2"];
const QUEUES: [&str; 2] = ["queue-1", "queue-2"];
const BOOKINGS: [&str; 2] = ["booking-1", "booking-2"];
const WALLETS: [&str; 2] = ["wallet-1", "wallet-2"];
/// The two edges.
pub const EDGES: [&str; 2] = ["edge-1", "edge-2"];
/// Where people are.
pub const CROWDS: [&str; 2] = ["north", "south"];
/// Who opens the sale, and looks at everything in the end.
pub const OFFICE: &str = "office";

/// When things begin to go wrong.
const TROUBLE_FROM: u64 = 2_000;

/// A seed's run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The sale.
    pub sale: Rules,
    /// The seats, their prices, and who may have them.
    pub hall: Hall,
    /// How many people come.
    pub people: usize,
    /// How long it takes until all have come.
    pub coming: Duration,
    /// One in so many of them uses two tabs.
    pub one_in: usize,
    /// The shortest and the longest a message takes.
    pub latency: (Duration, Duration),
    /// How likely a message is lost, and its connection with it.
    pub loss: f64,
    /// How likely a commit is lost or not heard of.
    pub commit_trouble: f64,
    /// How far each server's clock is off, in microseconds; others from the next start on.
    pub skew: i64,
    /// When the line opens by lot, if it was not open from the beginning.
    pub draw: Option<Duration>,
    /// When the line opens in the order of coming, if it was not open from the beginning and has no draw.
    pub fifo: Option<Duration>,
    /// When the office says something to all who wait.
    pub said: Vec<Duration>,
    /// What the relay of the draw's beacon does, if the draw has one.
    pub beacon: Option<Rounds>,
    /// When the show is called off, if it is.
    pub called_off: Option<Duration>,
    /// When two people of the office change the show at once.
    pub mended: Vec<Duration>,
    /// Whether a clerk undoes sales one by one.
    pub refunds: bool,
    /// What goes wrong.
    pub troubles: Vec<(Duration, Trouble)>,
    /// From when on nothing goes wrong.
    pub calm: Duration,
}

/// What the relay of a beacon tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// How long after its time a round is told; `None`: never, and the office ends the wait.
    pub late: Option<Duration>,
    /// Whether it tells what somebody else has signed until then.
    pub lies: bool,
}

/// The rules of the sale.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How many seats there are, where they stand in one row.
    pub seats: i32,
    /// What one costs; the least, where sections have prices of their own.
    pub price: i64,
    /// How many may be in at once.
    pub max_active: i64,
    /// How long.
    pub active_seconds: i64,
    /// How soon one must show up.
    pub show_up_seconds: i64,
    /// How long one may be silent in the line.
    pub grace_seconds: i64,
    /// Whether who did not use their time goes back to the tail.
    pub requeue: bool,
    /// How long seats are held.
    pub hold: Duration,
    /// Whether a hold outlives a payment that was refused.
    pub keep: bool,
}

/// Something that happens to the network or to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing gets through between two.
    Cut(&'static str, &'static str),
    /// Nothing gets through from one to the other.
    CutOneWay(&'static str, &'static str),
    /// Everything between two is late.
    Stall(&'static str, &'static str),
    /// All is well between two.
    Mend(&'static str, &'static str),
    /// A server dies.
    Crash(&'static str),
    /// A server is told to end.
    Stop(&'static str),
    /// It is started again.
    Start(&'static str),
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let sale = Rules {
            seats: rng.random_range(4..=24),
            price: rng.random_range(1..=50) * 1_000,
            max_active: rng.random_range(1..=6),
            active_seconds: rng.random_range(6..=15),
            show_up_seconds: rng.random_range(3..=6),
            grace_seconds: rng.random_range(6..=12),
            requeue: rng.random(),
            hold: Duration::from_secs(rng.random_range(2..=6)),
            keep: rng.random(),
        };
        let calm = rng.random_range(14_000..=20_000);
        let mut troubles = troubles(&mut rng, calm);
        let draw = draw(seed, &mut troubles);
        let beacon = draw.and_then(|opens| beacon(seed, opens, &mut troubles));
        let fifo = fifo(seed, draw, &mut troubles);
        let called_off = called_off(seed, &mut troubles);
        let hall = Hall::of(seed, sale.seats, sale.price, Duration::from_millis(calm), called_off);
        let mended = mended(seed, hall.dearer);
        Self {
            seed,
            sale,
            hall,
            people: rng.random_range(8..=18),
            coming: Duration::from_millis(*[100, 1_000, calm / 2].choose(&mut rng).unwrap_or(&calm)),
            one_in: rng.random_range(3..=20),
            latency: (
                Duration::from_millis(1),
                Duration::from_millis(*[10, 40, 120, 400].choose(&mut rng).unwrap_or(&10)),
            ),
            loss: *[0.0, 0.0, 0.001, 0.004].choose(&mut rng).unwrap_or(&0.0),
            commit_trouble: *[0.0, 0.0, 0.005, 0.03].choose(&mut rng).unwrap_or(&0.0),
            skew: *[0, 50_000, 400_000].choose(&mut rng).unwrap_or(&0),
            draw,
            fifo,
            said: said(seed),
            beacon,
            called_off,
            mended,
            refunds: refunds(seed),
            troubles,
            calm: Duration::from_millis(calm),
        }
    }
}

impl Plan {
    /// In how many tabs of their browser somebody is at once.
    #[must_use]
    pub const fn tabs(&self, person: usize) -> u8 {
        if person.is_multiple_of(self.one_in) { 2 } else { 1 }
    }
}

/// When a seed's line opens by lot, and what happens at that moment to those who hold the draw. Other dice
/// decide it than the rest, which is what it was before there were draws.
fn draw(seed: u64, troubles: &mut Vec<(Duration, Trouble)>) -> Option<Duration> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xD4A3);
    if rng.random_bool(0.5) {
        return None;
    }
    Some(opening(&mut rng, troubles))
}

/// When a seed's line opens in the order of coming: one in two of those without a draw. Other dice decide it
/// than the rest, as for draws.
fn fifo(seed: u64, draw: Option<Duration>, troubles: &mut Vec<(Duration, Trouble)>) -> Option<Duration> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xF1F0);
    if draw.is_some() || is_known(seed) || rng.random_bool(0.5) {
        return None;
    }
    Some(opening(&mut rng, troubles))
}

/// An opening, at the very second of which those who hold the line may die.
fn opening(rng: &mut StdRng, troubles: &mut Vec<(Duration, Trouble)>) -> Duration {
    let opens = rng.random_range(3..=8) * 1_000;
    for queue in QUEUES {
        if rng.random_bool(0.5) {
            // A server lives at least a tick.
            let dies = opens + rng.random_range(0..=10) * 10 - 20;
            troubles.push((Duration::from_millis(dies), Trouble::Crash(queue)));
            troubles.push((Duration::from_millis(dies + 600), Trouble::Start(queue)));
        }
    }
    Duration::from_millis(opens)
}

/// When the office says something to all who wait, in one of two seeds. Other dice decide it than the rest,
/// as for draws.
fn said(seed: u64) -> Vec<Duration> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x5A1D);
    let times = if rng.random_bool(0.5) || is_known(seed) { 0 } else { rng.random_range(1..=4) };
    let mut times: Vec<Duration> =
        (0..times).map(|_| Duration::from_millis(rng.random_range(2_000..=14_000))).collect();
    times.sort_unstable();
    times
}

/// What the relay of a draw's beacon does, in one of two draws, and who dies between the opening and the
/// draw. Other dice decide it than the rest, as for draws. Seeds that once found something without one have
/// none.
fn beacon(seed: u64, opens: Duration, troubles: &mut Vec<(Duration, Trouble)>) -> Option<Rounds> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xBEAC);
    if rng.random_bool(0.5) || is_known(seed) {
        return None;
    }
    for queue in QUEUES {
        if rng.random_bool(0.5) {
            let dies = opens + Duration::from_millis(rng.random_range(100..=700) * 10);
            troubles.push((dies, Trouble::Crash(queue)));
            troubles.push((dies + Duration::from_millis(600), Trouble::Start(queue)));
        }
    }
    let late = rng
        .random_bool(0.6)
        .then(|| Duration::from_millis(*[0, 0, 700, 5_000].choose(&mut rng).unwrap_or(&0)));
    Some(Rounds { late, lies: rng.random() })
}

/// When a seed's show is called off, in one of four, and who dies around that moment. Other dice decide it
/// than the rest, as for draws.
fn called_off(seed: u64, troubles: &mut Vec<(Duration, Trouble)>) -> Option<Duration> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0xCA0F);
    if !rng.random_bool(0.25) {
        return None;
    }
    let at = rng.random_range(4_000..=12_000);
    for server in EDGES.into_iter().chain(BOOKINGS).chain(WALLETS) {
        if rng.random_bool(0.3) {
            let dies = at + rng.random_range(0..=80) * 10 - 100;
            troubles.push((Duration::from_millis(dies), Trouble::Crash(server)));
            troubles.push((Duration::from_millis(dies + 600), Trouble::Start(server)));
        }
    }
    Some(Duration::from_millis(at))
}

/// Whether a seed's sales are undone one by one, in two of five. Other dice decide it than the rest, as for
/// draws; seeds that once found something without a clerk have none.
fn refunds(seed: u64) -> bool {
    StdRng::seed_from_u64(seed ^ 0xBAC4).random_bool(0.4) && !is_known(seed)
}

/// When a seed's show is changed by two people at once, in one of two: when prices rise, and at other times
/// in between. Other dice decide it than the rest, as for draws.
fn mended(seed: u64, dearer: Option<Duration>) -> Vec<Duration> {
    let mut rng = StdRng::seed_from_u64(seed ^ 0x3E4D);
    let mut times: Vec<Duration> = dearer.into_iter().collect();
    if rng.random_bool(0.5) && !is_known(seed) {
        for _ in 0..rng.random_range(1..=3) {
            times.push(Duration::from_millis(rng.random_range(3_000..=12_000)));
        }
    }
    times.sort_unstable();
    times
}

/// Whether a seed once found something.
fn is_known(seed: u64) -> bool {
    KNOWN.iter().any(|(known, _)| *known == seed)
}

fn troubles(rng: &mut StdRng, calm: u64) -> Vec<(Duration, Trouble)> {
    let mut all = Vec::new();
    for _ in 0..rng.random_range(0..=12) {
        let from = rng.random_range(TROUBLE_FROM..calm);
        let to = from + *[200, 1_000, 3_000, 6_000].choose(rng).unwrap_or(&200);
        for (begins, ends) in trouble(rng) {
            all.push((Duration::from_millis(from), begins));
            all.push((Duration::from_millis(to.min(calm)), ends));
        }
    }
    all
}

/// What begins together, and how each of it ends: to one replica of a service, or to both.
pub(crate) fn trouble(rng: &mut StdRng) -> Vec<(Trouble, Trouble)> {
    let dies = rng.random_bool(0.45);
    let groups: &[[&'static str; 2]] =
        if dies { &[QUEUES, BOOKINGS, WALLETS, EDGES] } else { &[QUEUES, BOOKINGS, WALLETS, CROWDS] };
    let group = groups.choose(rng).unwrap_or(&EDGES);
    let one = *group.choose(rng).unwrap_or(&group[0]);
    let concerned = if rng.random_bool(0.35) { group.to_vec() } else { vec![one] };
    // Everything that is said is said to an edge or by one.
    let edge = *EDGES.choose(rng).unwrap_or(&EDGES[0]);
    let kind = if dies { rng.random_range(0..10) } else { rng.random_range(10..14) };
    let of = |it: &'static str| match kind {
        0..7 => (Trouble::Crash(it), Trouble::Start(it)),
        7..10 => (Trouble::Stop(it), Trouble::Start(it)),
        10 => (Trouble::Cut(edge, it), Trouble::Mend(edge, it)),
        11 => (Trouble::CutOneWay(edge, it), Trouble::Mend(edge, it)),
        12 => (Trouble::CutOneWay(it, edge), Trouble::Mend(edge, it)),
        _ => (Trouble::Stall(edge, it), Trouble::Mend(edge, it)),
    };
    concerned.into_iter().map(of).collect()
}
