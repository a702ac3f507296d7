//! What the office says to all who wait: once it is acknowledged, every later answer about a live place tells
//! it, whichever replica gives it, until something else is said.

use std::time::Duration;

use serde_json::Value;

use super::STALE;
use crate::{
    history::{count, now, violated},
    rest::{Answer, text},
};

/// How long a request of which nothing was heard any more may still do something.
const LINGERS: Duration = Duration::from_secs(30);

/// What was said, in order.
#[derive(Debug)]
pub struct Said {
    words: Vec<Words>,
}

#[derive(Debug)]
struct Words {
    /// The message as answers tell it; null where nothing is said any more.
    message: Value,
    asked: Duration,
    /// When it was acknowledged.
    told: Option<Duration>,
    /// Until when a request for it may still do something of which nothing is heard.
    lingers: Duration,
}

impl Said {
    /// Nothing is said at first.
    pub(super) fn new() -> Self {
        let zero = Duration::ZERO;
        let nothing = Words { message: Value::Null, asked: zero, told: Some(zero), lingers: zero };
        Self { words: vec![nothing] }
    }

    /// The office begins to say something.
    pub fn saying(&mut self, message: &Value) {
        let message = message.clone();
        self.words.push(Words { message, asked: now(), told: None, lingers: now() });
    }

    /// A request for it was answered, or was not.
    pub fn heard(&mut self, answer: Option<&Answer>) {
        let Some(words) = self.words.last_mut() else { return };
        match answer.filter(|answer| answer.is_done()) {
            Some(answer) => {
                count("messages said");
                words.told.get_or_insert(answer.received);
                if answer.body["message"] != words.message {
                    let what = format!("{} was said: {}", words.message, answer.body);
                    violated("SAID", &["-"], what);
                }
            }
            None => {
                words.lingers = now() + LINGERS;
                if let Some(refused) = answer.filter(|answer| answer.stands()) {
                    violated("SAID", &["-"], format!("it was refused: {}", refused.body));
                }
            }
        }
    }

    /// Somebody was told where their place stands, and what is said.
    pub(super) fn seen(&self, user: &str, answer: &Answer) {
        if !matches!(answer.text("status"), "REGISTERED" | "WAITING" | "ACTIVE") {
            return;
        }
        let told = &answer.body["message"];
        let is_heard = |words: &Words| words.told.is_some_and(|told| told + STALE < answer.sent);
        let newest = self.words.iter().rposition(is_heard).unwrap_or_default();
        let may_be = |(nth, words): (usize, &Words)| {
            let is_new = nth >= newest && words.asked <= answer.received;
            words.message == *told && (is_new || answer.sent <= words.lingers)
        };
        count(if told.is_null() { "places told without a message" } else { "places told with a message" });
        if !self.words.iter().enumerate().any(may_be) {
            let said: Vec<_> = self.words[newest..].iter().map(|words| &words.message).collect();
            let what = format!("token {} tells {told}, and said is {said:?}", text(&answer.body, "token"));
            violated("SAID", &[user], what);
        }
    }
}
