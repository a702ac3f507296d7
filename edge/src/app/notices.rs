//! What the seller says in each queue: read once a batch of places, and shared by all who wait there.

use std::{collections::HashMap, sync::Arc};

use boxoffice_proto::queue::{QueueMessage, QueueNotice, Token, TokenStatus};
use parking_lot::Mutex;
use serde_json::value::{RawValue, to_raw_value};

/// What is said in a queue, with all that an answer needs of it, which is made once.
#[derive(Debug)]
pub(crate) struct Notice {
    message: QueueMessage,
    json: Box<RawValue>,
    mark: u32,
}

impl Notice {
    /// The notice of a message; none where nothing is said in any language.
    pub(crate) fn of(message: QueueMessage) -> Option<Arc<Self>> {
        let text = |text: &str| serde_json::Value::from(Some(text).filter(|text| !text.is_empty()));
        let (ko, en) = (text(&message.ko), text(&message.en));
        if ko.is_null() && en.is_null() {
            return None;
        }
        let json = to_raw_value(&serde_json::json!({"ko": ko, "en": en})).ok()?;
        let mix = |mark: u32, byte: u8| (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let mark = json.get().bytes().fold(0x811c_9dc5, mix);
        Some(Arc::new(Self { message, json, mark }))
    }

    /// What is said, as the contract has it.
    pub(crate) const fn message(&self) -> &QueueMessage {
        &self.message
    }

    /// What is said, as JSON.
    pub(crate) const fn json(&self) -> &RawValue {
        &self.json
    }

    /// A number that every edge has for this message and not for another one.
    pub(crate) const fn mark(&self) -> u32 {
        self.mark
    }
}

impl PartialEq for Notice {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message
    }
}

/// A place in a queue, and what is said there to all who have one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SeenPlace {
    pub(crate) token: Token,
    pub(crate) notice: Option<Arc<Notice>>,
}

impl From<Token> for SeenPlace {
    fn from(mut token: Token) -> Self {
        let notice = token.message.take().and_then(Notice::of);
        Self { token, notice }
    }
}

impl From<SeenPlace> for Token {
    fn from(SeenPlace { token, notice }: SeenPlace) -> Self {
        Self { message: notice.map(|notice| notice.message.clone()), ..token }
    }
}

/// Whether a token has ended, so that nothing of it will ever change.
pub(super) fn is_final(token: &Token) -> bool {
    !matches!(token.status(), TokenStatus::Waiting | TokenStatus::Active | TokenStatus::Registered)
}

/// What is said, by the id of the queue; of a queue in which nothing is, there is nothing.
type ByQueue = HashMap<String, Arc<Notice>>;

/// What is said in the queues as of the latest answers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Notices(Arc<Mutex<Arc<ByQueue>>>);

impl Notices {
    /// Takes over what an answer tells. Of a queue that it does not tell of, what was known stays: a replica
    /// of an older release knows nothing of notices, and nobody is to see one come and go while releases
    /// change.
    pub(super) fn learn(&self, told: Vec<QueueNotice>) {
        let mut known = self.0.lock();
        for QueueNotice { queue_id, message } in told {
            let message = message.unwrap_or_default();
            if known.get(&queue_id).is_some_and(|notice| notice.message == message) {
                continue;
            }
            match Notice::of(message) {
                Some(notice) => drop(Arc::make_mut(&mut known).insert(queue_id, notice)),
                None if known.contains_key(&queue_id) => drop(Arc::make_mut(&mut known).remove(&queue_id)),
                None => {}
            }
        }
    }

    /// These tokens with what is said where they are live.
    pub(super) fn places(&self, tokens: Vec<Token>) -> impl Iterator<Item = SeenPlace> {
        let known = Arc::clone(&self.0.lock());
        tokens.into_iter().map(move |token| {
            let notice = known.get(&token.queue_id).filter(|_| !is_final(&token)).cloned();
            SeenPlace { token, notice }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn told(queue_id: &str, en: &str) -> QueueNotice {
        let message = QueueMessage { en: en.into(), ..QueueMessage::default() };
        QueueNotice { queue_id: queue_id.into(), message: Some(message).filter(|_| !en.is_empty()) }
    }

    fn seen(notices: &Notices, queue_id: &str, status: TokenStatus) -> Option<Arc<Notice>> {
        let token = Token { queue_id: queue_id.into(), status: status.into(), ..Token::default() };
        notices.places(vec![token]).next().unwrap().notice
    }

    #[test]
    fn all_who_wait_share_what_is_said_until_something_else_is() {
        let (notices, waiting) = (Notices::default(), TokenStatus::Waiting);
        notices.learn(vec![told("a", "Doors at 7"), told("b", "")]);
        let first = seen(&notices, "a", waiting).unwrap();
        assert_eq!(first.json().get(), r#"{"en":"Doors at 7","ko":null}"#);
        assert_eq!((seen(&notices, "b", waiting), seen(&notices, "a", TokenStatus::Left)), (None, None));
        // The same again, and an answer of an older release, change nothing.
        notices.learn(vec![told("a", "Doors at 7")]);
        notices.learn(Vec::new());
        assert!(Arc::ptr_eq(&first, &seen(&notices, "a", waiting).unwrap()));
        notices.learn(vec![told("a", "Doors at 8"), told("b", "Hello")]);
        assert_ne!(seen(&notices, "a", waiting).unwrap().mark(), first.mark());
        notices.learn(vec![told("a", "")]);
        assert_eq!(seen(&notices, "a", waiting), None);
        assert!(seen(&notices, "b", TokenStatus::Active).is_some());
    }

    #[test]
    fn a_place_is_told_as_a_token_with_its_message() {
        let message = QueueMessage { ko: "안녕하세요".into(), en: String::new() };
        let token = Token { message: Some(message), ..Token::default() };
        assert_eq!(Token::from(SeenPlace::from(token.clone())), token);
        assert_eq!(SeenPlace::from(Token::default()).notice, None);
    }
}
