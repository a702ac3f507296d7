//! Who may call what: the rules that the protos' methods carry, and what a request says that they ask for.

use prost::{
    bytes::Buf as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};

use crate::{Fault, Reason};

/// A kind of caller, as `boxoffice.access.v1.Caller` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody is asked.
    Anyone,
    /// Who names a queue token.
    TokenHolder,
    /// The user that the request names.
    Owner,
    /// A user with an ACTIVE token of the queue; only the edge can tell.
    Admitted,
    /// Anyone while the shop shows its seats to everybody.
    Browser,
    /// The owner, while users may charge their own wallets.
    SelfCharger,
    /// Runs the sale.
    Operator,
    /// Takes and gives money.
    Cashier,
    /// Helps users with what is theirs.
    Support,
    /// The edge, by its certificate.
    Service,
}

/// The rule of one method.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The method's path in HTTP/2, such as `/boxoffice.wallet.v1.WalletService/GetWallet`.
    pub path: &'static str,
    /// Who may call it.
    pub callers: &'static [Kind],
    /// Who may leave the user empty, which then means anybody's.
    pub of_everybody: &'static [Kind],
    /// Who may call it at the edge besides.
    pub at_edge: &'static [Kind],
    /// The number of the request's field `user_id`, where it has one.
    pub user_id: Option<u32>,
    /// The number of the request's field `token` or `tokens`, where it has one.
    pub token: Option<u32>,
    /// The number of the request's field `priority`, where it has one.
    pub priority: Option<u32>,
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

/// A request that a rule decides about. Implemented for the request of every method.
pub trait Asks {
    /// The rule of its method.
    const RULE: &'static Rule;

    /// The user that it names, where it can name one; empty: none.
    fn user_id(&mut self) -> Option<&mut String>;

    /// Whether it names a queue token.
    fn has_token(&self) -> bool;

    /// The lane that it asks for, where it can ask for one.
    fn priority(&mut self) -> Option<&mut Option<i32>>;
}

/// What a request finds by its id, for a user that it names; empty: for anybody. Somebody else's is answered
/// as one that is not there, so that nobody learns what others have (AIP-211).
///
/// # Errors
/// NOT_OWNER for a user who has no such thing; otherwise as `found`.
pub fn for_user<T>(
    user_id: &str,
    found: Result<T, Fault>,
    owner: impl FnOnce(&T) -> &str,
    missing: Reason,
) -> Result<T, Fault> {
    match found {
        _ if user_id.is_empty() => found,
        Ok(found) if owner(&found) == user_id => Ok(found),
        Err(fault) if fault.reason != missing => Err(fault),
        Ok(_) | Err(_) => Err(Fault::new(Reason::NotOwner, Reason::NotOwner.title())),
    }
}

/// The rule of a method by its path; `None`: no method of ours.
#[must_use]
pub fn rule(path: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.path == path)
}

/// What a request says that a rule asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The user that it names; empty: none.
    pub user_id: String,
    /// Whether it names a queue token.
    pub has_token: bool,
    /// The lane that it asks for.
    pub priority: Option<i32>,
}

impl Rule {
    /// Reads the subject from an encoded request. Of a field that comes twice the last one counts, as
    /// everywhere in protobuf.
    ///
    /// `None`: this is no such message, and whoever decodes it will say why.
    #[must_use]
    pub fn subject(&self, mut message: &[u8]) -> Option<Subject> {
        let mut subject = Subject::default();
        while message.has_remaining() {
            let (number, wire_type) = decode_key(&mut message).ok()?;
            let wanted = wire_type == WireType::LengthDelimited;
            if wanted && (self.user_id == Some(number) || self.token == Some(number)) {
                let length = usize::try_from(decode_varint(&mut message).ok()?).unwrap_or(usize::MAX);
                let (value, rest) = message.split_at_checked(length)?;
                message = rest;
                if self.user_id == Some(number) {
                    subject.user_id = String::from_utf8_lossy(value).into_owned();
                } else {
                    subject.has_token = !value.is_empty();
                }
            } else if wire_type == WireType::Varint && self.priority == Some(number) {
                let value = decode_varint(&mut message).ok()?;
                // Protobuf writes a negative int32 as 64 bits, and reads the low 32 of what is there.
                #[expect(clippy::cast_possible_truncation, reason = "as prost decodes an int32")]
                let lane = value as i32;
                subject.priority = Some(lane);
            } else {
                skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
            }
        }
        Some(subject)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use prost::Message as _;

    use super::*;
    use crate::{
        booking::HoldSeatsRequest,
        queue::{BatchGetTokensRequest, IssueTokenRequest},
    };

    #[test]
    fn a_rule_reads_from_a_request_whom_it_is_about() {
        let hold = rule("/boxoffice.booking.v1.BookingService/HoldSeats").unwrap();
        let request = HoldSeatsRequest {
            user_id: "Zoë".into(),
            show_id: 7,
            seat_numbers: vec![1, 2, 3],
            request_id: "key".into(),
            replay_only: true,
            best_available: None,
        };
        let read = |bytes: &[u8]| hold.subject(bytes);
        let zoe = Subject { user_id: "Zoë".into(), ..Subject::default() };
        assert_eq!(read(&request.encode_to_vec()), Some(zoe.clone()));
        assert_eq!(read(&[]), Some(Subject::default()));
        let twice = [
            HoldSeatsRequest { user_id: "ann".into(), ..request.clone() }.encode_to_vec(),
            request.encode_to_vec(),
        ];
        assert_eq!(read(&twice.concat()), Some(zoe), "the last one counts, as for who decodes it");
        let whole = request.encode_to_vec();
        assert!((1..5).all(|end| read(&whole[..end]).is_none()), "a broken message is nobody's");
        let batch = rule("/boxoffice.queue.v1.QueueService/BatchGetTokens").unwrap();
        let some = BatchGetTokensRequest { tokens: vec!["x".into()] }.encode_to_vec();
        assert!(batch.subject(&some).unwrap().has_token && !batch.subject(&[]).unwrap().has_token);
    }

    #[test]
    fn the_lane_is_read_as_it_will_be_decoded() {
        let join = rule("/boxoffice.queue.v1.QueueService/IssueToken").unwrap();
        for priority in [None, Some(0), Some(9), Some(-1), Some(i32::MIN)] {
            let request = IssueTokenRequest { priority, ..IssueTokenRequest::default() };
            assert_eq!(join.subject(&request.encode_to_vec()).unwrap().priority, priority);
        }
    }

    #[test]
    fn there_is_a_rule_for_each_method_and_none_for_others() {
        assert_eq!(RULES.len(), 58);
        assert!(RULES.iter().all(|one| !one.callers.is_empty() && rule(one.path).is_some()));
        assert!(rule("/boxoffice.queue.v1.QueueService/Nothing").is_none());
        assert!(rule("").is_none());
    }
}
