//! Measures queue-svc by itself, without a network.
//!
//! ```text
//! # memory a waiter, and the cost of a poll, at these sizes
//! cargo run --release -p queue-svc --example measure -- state 1000 1000000
//! # what a draw costs among so many, and memory after it
//! cargo run --release -p queue-svc --example measure -- draw 100000 1000000
//! # durable joins a second, a thousand callers at once
//! cargo run --release -p queue-svc --example measure -- joins DATABASE_URL
//! # a thousand tokens read at once, one queue among twenty
//! cargo run --release -p queue-svc --example measure -- batch DATABASE_URL
//! ```
//! Figures hold for the machine and the profile they were taken with; quote them with both.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program whose output is its purpose")]
#![allow(clippy::cast_precision_loss, clippy::unwrap_used, reason = "a measuring program")]

use std::{env, fs, sync::Arc, time::Instant};

use chassis::{
    background::Vital,
    clock::Clock,
    db::{Db, DbConfig},
};
use queue_svc::{
    Retention,
    app::{Lookup, Queues},
    domain::{
        Command, Dealing, Draw, DrawSecret, DrawSetting, Opening, QueuePolicy, QueueRow, QueueState, decide,
    },
    store,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const JOINS: usize = 50_000;
const CALLERS: usize = 1_000;
const POLLS: usize = 1_000_000;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["state", sizes @ ..] => sizes.iter().for_each(|size| state(size.parse().unwrap())),
        ["draw", sizes @ ..] => sizes.iter().for_each(|size| draw(size.parse().unwrap())),
        ["joins", url] => joins(url),
        ["batch", url] => batch(url),
        _ => eprintln!(
            "measure state SIZE... | measure draw SIZE... | measure joins DATABASE_URL | measure batch DATABASE_URL"
        ),
    }
}

fn nobody_enters() -> QueuePolicy {
    QueuePolicy { max_active: 0, max_waiting: 10_000_000, ..QueuePolicy::default() }
}

fn draw(size: usize) {
    let mut head = QueueRow::new(QueuePolicy::default(), 0);
    let policy = QueuePolicy { opens_at: Some(2), opening: Opening::Draw, ..nobody_enters() };
    let secret = DrawSecret { secret: [1; 32], token_key: [2; 32] };
    head.set_policy(policy, &DrawSetting { secret, chain: Ok(None) }).unwrap();
    let mut state = QueueState::new(head);
    for first in (0..size).step_by(1_000) {
        let join = |user: usize| Command::Join {
            token: Uuid::nil(),
            user: format!("user-{user:09}").into(),
            priority: 5,
        };
        let decision = decide(&state, &[], (first..first + 1_000).map(join).collect(), 1);
        state.advance(decision.head, decision.rows, 1);
    }
    let began = Instant::now();
    let mut tokens = Vec::with_capacity(size);
    let _parts = (0..).take_while(|part| state.add_registered(*part, &mut tokens)).count();
    let copied = began.elapsed();
    let secret = state.head().due_draw(2).unwrap().secret;
    let held = Arc::new(Draw::hold(&secret, &[], &tokens, state.head().last_ticket));
    let drawn = began.elapsed() - copied;
    let head = state.head().after_draw(held.of(), 2);
    let began = Instant::now();
    let mut dealing = Dealing::begin(&state, Arc::clone(&held));
    let mut longest = began.elapsed();
    loop {
        let part = Instant::now();
        let goes_on = dealing.go_on(&state);
        longest = longest.max(part.elapsed());
        if !goes_on {
            break;
        }
    }
    let dealt = began.elapsed();
    let began = Instant::now();
    assert!(state.take_over(&mut dealing), "nothing has changed meanwhile");
    state.advance(head, Vec::new(), 2);
    let taken_over = began.elapsed();
    let began = Instant::now();
    let proofs = tokens.iter().take(1_000).filter(|token| held.prove(token).is_some()).count();
    println!(
        "{} took part: {copied:.1?} to copy, {drawn:.1?} to draw, {dealt:.1?} to deal, {longest:.1?} at a time; readers wait for {taken_over:.1?}; \
         {:.1?} a proof ({proofs}); {} bytes each counted",
        held.of(),
        began.elapsed() / 1_000,
        state.memory() / size
    );
}

fn state(size: usize) {
    let before = resident();
    let mut state = QueueState::new(QueueRow::new(nobody_enters(), 0));
    let ids: Vec<Uuid> = (0..size).map(|_| Uuid::new_v4()).collect();
    let ids_take = resident() - before;
    let began = Instant::now();
    for (batch, ids) in ids.chunks(1_000).enumerate() {
        let join = |(at, id): (usize, &Uuid)| Command::Join {
            token: *id,
            user: format!("user-{batch:06}{at:03}").into(),
            priority: 5,
        };
        let decision = decide(&state, &[], ids.iter().enumerate().map(join).collect(), 1);
        state.advance(decision.head, decision.rows, 1);
    }
    let joined = began.elapsed();
    let bytes = (resident() - before).saturating_sub(ids_take) as f64 / size as f64;
    let queue: Arc<str> = "default".into();
    let began = Instant::now();
    let mut sum = 0;
    for poll in 0..POLLS {
        // A stride over all of them: neighbours in line are not asked one after the other.
        sum += state.view(&queue, &ids[poll.wrapping_mul(7_919) % size], 1).map_or(0, |view| view.position);
    }
    let each = began.elapsed().as_nanos() as f64 / POLLS as f64;
    println!(
        "{size} waiting: {bytes:.0} bytes each resident, {} counted; {each:.0} ns a poll (sum {sum}); decided and applied {:.0} joins/s",
        state.memory() / size,
        size as f64 / joined.as_secs_f64()
    );
}

/// Bytes of resident memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4_096
}

async fn open(url: &str) -> Queues {
    let config = DbConfig::at(url);
    let db = Db::open(&config, &store::migrations()).await.unwrap();
    Queues::open(db, Clock::system(), Retention::default(), None, Vital::default()).await.unwrap()
}

async fn new_queue(queues: &Queues) -> String {
    let queue = format!("measure-{}", Uuid::new_v4().simple());
    queues.create_queue(&queue, nobody_enters(), None).await.unwrap();
    queue
}

/// As BatchGetTokens does it, the wire aside.
#[tokio::main]
async fn batch(url: &str) {
    let queues = open(url).await;
    for _ in 1..20 {
        new_queue(&queues).await;
    }
    let queue = new_queue(&queues).await;
    let joins = (0..1_000).map(|caller| {
        let (queues, queue) = (queues.clone(), queue.clone());
        tokio::spawn(
            async move { queues.join(&queue, &format!("user-{caller}"), 5, None).await.unwrap().0.token },
        )
    });
    let mut ids = Vec::new();
    for join in joins.collect::<Vec<_>>() {
        ids.push(join.await.unwrap());
    }
    let mut took: Vec<_> = Vec::new();
    for _ in 0..2_000 {
        let began = Instant::now();
        assert!(queues.tokens(&ids).await.iter().all(|seen| matches!(seen, Lookup::Found(_))));
        took.push(began.elapsed());
    }
    took.sort_unstable();
    println!(
        "1,000 tokens of one of 20 queues: {:.0?} in the middle, {:.0?} at the 99th of a hundred",
        took[1_000], took[1_980]
    );
    queues.close().await;
}

#[tokio::main]
async fn joins(url: &str) {
    let queues = open(url).await;
    let queue = new_queue(&queues).await;
    let began = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let (queues, queue) = (queues.clone(), queue.clone());
        tokio::spawn(async move {
            for turn in 0..JOINS / CALLERS {
                queues.join(&queue, &format!("user-{caller}-{turn}"), 5, None).await.unwrap();
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
    let took = began.elapsed();
    let waiting = queues.queue(&queue).await.unwrap().waiting;
    println!(
        "{waiting} durable joins by {CALLERS} callers in {took:.2?}: {:.0}/s",
        waiting as f64 / took.as_secs_f64()
    );
    queues.close().await;
}
