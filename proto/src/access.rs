//! Who may call what: the rules that the protos' methods carry, and what a request says that they ask for.

use prost::{
    bytes::Buf as _,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use unicode_normalization::UnicodeNormalization as _;

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
    /// Helps users.
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
    /// Who may leave the user empty; nobody is listed where whoever may call it may.
    pub of_everybody: &'static [Kind],
    /// Who may call it at the edge besides.
    pub at_edge: &'static [Kind],
    /// The number of the request's field `user_id`, where it has one.
    pub user_id: Option<u32>,
    /// The number of the request's field `token` or `tokens`, where it has one.
    pub token: Option<u32>,
}

include!(concat!(env!("OUT_DIR"), "/rules.rs"));

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
            } else {
                skip_field(wire_type, number, &mut message, DecodeContext::default()).ok()?;
            }
        }
        Some(subject)
    }
}

/// What somebody may do besides what any user may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the sale.
    Operator,
    /// Takes and gives money.
    Cashier,
    /// Helps users.
    Support,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Cashier, Self::Support];

    /// The word for it in a token's claim, on the command line, and in a refusal's `role`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Cashier => "cashier",
            Self::Support => "support",
        }
    }
}

/// Who calls, as far as it is proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user that a bearer token names.
    pub user_id: Option<String>,
    /// Its roles.
    pub roles: Vec<Role>,
    /// Whether it is the edge, by its certificate: it has asked its own caller.
    pub is_service: bool,
}

/// What else a rule depends on: how the shop is run, and where the call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct House {
    /// Users may charge their own wallets.
    pub self_charge: bool,
    /// Anyone may look at dates and seats.
    pub open_browsing: bool,
    /// This is the edge, where the gate asks for an ACTIVE token before anything is done for who is admitted.
    pub is_edge: bool,
}

impl Rule {
    /// Whether this caller may make this request. Nothing is looked up: what is refused here is refused
    /// whether it exists or not (AIP-211).
    ///
    /// # Errors
    /// CREDENTIALS_MISSING, NOT_OWNER, NOT_ALLOWED (metadata `role`: who might, separated by commas).
    pub fn decide(&self, caller: &Caller, subject: &Subject, house: House) -> Result<(), Fault> {
        let is_owner = !subject.user_id.is_empty()
            && caller.user_id.as_deref().is_some_and(|user| is_same(user, &subject.user_id));
        let is = |kind: &Kind| match kind {
            Kind::Anyone => true,
            Kind::Browser => house.open_browsing,
            Kind::TokenHolder => subject.has_token,
            Kind::Owner => is_owner,
            Kind::SelfCharger => house.self_charge && is_owner,
            Kind::Admitted => {
                house.is_edge && caller.user_id.is_some() && (self.user_id.is_none() || is_owner)
            }
            Kind::Operator => caller.roles.contains(&Role::Operator),
            Kind::Cashier => caller.roles.contains(&Role::Cashier),
            Kind::Support => caller.roles.contains(&Role::Support),
            Kind::Service => caller.is_service,
        };
        let of_everybody = subject.user_id.is_empty() && !self.of_everybody.is_empty();
        let may = |kind: &Kind| is(kind) && (!of_everybody || self.of_everybody.contains(kind));
        if self.kinds(house).any(|kind| may(kind)) { Ok(()) } else { Err(self.refusal(caller, house)) }
    }

    /// Whoever may call it here.
    fn kinds(&self, house: House) -> impl Iterator<Item = &'static Kind> {
        let besides: &[Kind] = if house.is_edge { self.at_edge } else { &[] };
        self.callers.iter().chain(besides)
    }

    fn refusal(&self, caller: &Caller, house: House) -> Fault {
        if caller == &Caller::default() {
            return Fault::new(
                Reason::CredentialsMissing,
                "Say who you are: header Authorization, `Bearer` and an access token.",
            );
        }
        let owners = |kind: &Kind| match kind {
            Kind::Owner => true,
            Kind::SelfCharger => house.self_charge,
            Kind::Admitted => house.is_edge,
            Kind::Anyone
            | Kind::Browser
            | Kind::TokenHolder
            | Kind::Operator
            | Kind::Cashier
            | Kind::Support
            | Kind::Service => false,
        };
        if caller.user_id.is_some() && self.kinds(house).any(owners) {
            return Fault::new(Reason::NotOwner, "This is another user's, or needs the user's own name.");
        }
        let roles: Vec<_> = self.kinds(house).filter_map(|kind| kind.role()).collect();
        Fault::new(Reason::NotAllowed, "This needs a role that the caller does not have.")
            .with("role", roles.join(","))
    }
}

impl Kind {
    /// What a refused caller is told to be instead.
    const fn role(self) -> Option<&'static str> {
        match self {
            Self::Operator => Some(Role::Operator.as_str()),
            Self::Cashier => Some(Role::Cashier.as_str()),
            Self::Support => Some(Role::Support.as_str()),
            Self::Service => Some("service"),
            Self::Anyone
            | Self::TokenHolder
            | Self::Owner
            | Self::Admitted
            | Self::Browser
            | Self::SelfCharger => None,
        }
    }
}

/// One user has one name, in whatever form of Unicode a keyboard wrote it.
fn is_same(one: &str, other: &str) -> bool {
    one == other || one.nfc().eq(other.nfc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use prost::Message as _;

    use super::*;
    use crate::{booking::HoldSeatsRequest, queue::BatchGetTokensRequest};

    #[test]
    fn a_rule_reads_from_a_request_whom_it_is_about() {
        let hold = rule("/boxoffice.booking.v1.BookingService/HoldSeats").unwrap();
        let request = HoldSeatsRequest {
            user_id: "Zoë".into(),
            show_id: 7,
            seat_numbers: vec![1, 2, 3],
            request_id: "key".into(),
            replay_only: true,
        };
        let read = |bytes: &[u8]| hold.subject(bytes);
        let zoe = Subject { user_id: "Zoë".into(), has_token: false };
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
    fn there_is_a_rule_for_each_method_and_none_for_others() {
        assert_eq!(RULES.len(), 37);
        assert!(RULES.iter().all(|one| !one.callers.is_empty() && rule(one.path).is_some()));
        assert!(rule("/boxoffice.queue.v1.QueueService/Nothing").is_none());
        assert!(rule("").is_none());
    }

    const EDGE: House = House { self_charge: true, open_browsing: false, is_edge: true };
    const INSIDE: House = House { is_edge: false, ..EDGE };

    fn ask(method: &str, caller: &Caller, user: &str, house: House) -> Result<(), Reason> {
        let rule = RULES.iter().find(|rule| rule.path.ends_with(method)).unwrap();
        let subject = Subject { user_id: user.into(), has_token: false };
        rule.decide(caller, &subject, house).map_err(|fault| fault.reason)
    }

    fn user(name: &str, roles: &[Role]) -> Caller {
        Caller { user_id: Some(name.into()), roles: roles.to_vec(), is_service: false }
    }

    #[test]
    fn a_caller_may_what_the_rule_names_and_nothing_else() {
        let (nobody, ann, service) =
            (Caller::default(), user("ann", &[]), Caller { is_service: true, ..Caller::default() });
        let [operator, cashier, support] = Role::ALL.map(|role| user("x", &[role]));
        let (missing, foreign, denied) =
            (Err(Reason::CredentialsMissing), Err(Reason::NotOwner), Err(Reason::NotAllowed));
        for (method, about, may) in [
            // nobody, ann, operator, cashier, support, service
            ("/GetShow", "", [Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
            ("/CreateShow", "", [missing, denied, Ok(()), denied, denied, denied]),
            ("/IssueToken", "ann", [missing, Ok(()), Ok(()), foreign, foreign, Ok(())]),
            ("/IssueToken", "bob", [missing, foreign, Ok(()), foreign, foreign, Ok(())]),
            ("/GetWallet", "bob", [missing, foreign, Ok(()), foreign, Ok(()), Ok(())]),
            ("/ChargeWallet", "ann", [missing, Ok(()), foreign, Ok(()), foreign, Ok(())]),
            ("/UseWallet", "ann", [missing, denied, denied, Ok(()), denied, Ok(())]),
            ("/Pay", "ann", [missing, Ok(()), foreign, foreign, foreign, denied]),
            ("/ListCheckouts", "ann", [missing, Ok(()), Ok(()), foreign, Ok(()), Ok(())]),
            ("/ListCheckouts", "", [missing, foreign, Ok(()), foreign, Ok(()), denied]),
            ("/ConfirmReservation", "ann", [missing, denied, denied, denied, denied, Ok(())]),
        ] {
            let told = [&nobody, &ann, &operator, &cashier, &support, &service]
                .map(|caller| ask(method, caller, about, EDGE));
            assert_eq!(told, may, "{method} about {about:?}");
        }
    }

    #[test]
    fn some_rules_depend_on_the_house() {
        let ann = user("ann", &[]);
        assert_eq!(ask("/ChargeWallet", &ann, "ann", House::default()), Err(Reason::NotAllowed));
        assert_eq!(ask("/HoldSeats", &ann, "ann", EDGE), Ok(()));
        assert_eq!(ask("/HoldSeats", &ann, "bob", EDGE), Err(Reason::NotOwner));
        assert_eq!(
            ask("/HoldSeats", &ann, "ann", INSIDE),
            Err(Reason::NotAllowed),
            "who is admitted the edge knows"
        );
        assert_eq!(ask("/ListSeats", &Caller::default(), "", EDGE), Err(Reason::CredentialsMissing));
        let open = House { open_browsing: true, ..EDGE };
        assert_eq!(ask("/ListSeats", &Caller::default(), "", open), Ok(()));
        let rule = rule("/boxoffice.queue.v1.QueueService/BatchGetTokens").unwrap();
        let holder = Subject { has_token: true, ..Subject::default() };
        assert!(rule.decide(&Caller::default(), &holder, EDGE).is_ok());
        assert!(rule.decide(&Caller::default(), &holder, INSIDE).is_err());
    }

    #[test]
    fn a_name_is_the_same_in_every_form_of_unicode() {
        let composed = user("Zo\u{eb}", &[]);
        assert_eq!(ask("/GetWallet", &composed, "Zoe\u{308}", EDGE), Ok(()));
        assert_eq!(ask("/GetWallet", &composed, "Zoe", EDGE), Err(Reason::NotOwner));
    }
}
