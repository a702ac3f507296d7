//! Whether a caller may make a request: the rules of the protos, applied. A pure function of rule, caller,
//! request and house.

use boxoffice_proto::{
    Fault, Reason,
    access::{Asks, Kind, Rule, Subject},
    bounds::DEFAULT_PRIORITY,
    validate,
};

use crate::{Error, Identity, Role};

/// Who calls, as far as it is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Anybody, in an open house: nobody is asked, and everything is allowed.
    Unasked,
    /// Nobody who has shown credentials that are accepted; why not.
    Unknown(Error),
    /// A user, with a verified bearer token.
    User(Identity),
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

impl House {
    /// Whether this caller may make this request. Nothing is looked up: what is refused here is refused
    /// whether it exists or not (AIP-211).
    ///
    /// # Errors
    /// CREDENTIALS_MISSING, CREDENTIALS_INVALID, UNAVAILABLE when no token can be judged yet, NOT_OWNER,
    /// NOT_ALLOWED (metadata `role`: who might, separated by commas).
    pub fn decide(self, rule: &Rule, caller: &Caller, subject: &Subject) -> Result<(), Fault> {
        // What services do among themselves is not done through the door of the public, even where nobody is
        // asked.
        let is_for_services = self.is_edge && self.kinds(rule).all(|kind| *kind == Kind::Service);
        if caller == &Caller::Unasked && !is_for_services {
            return Ok(());
        }
        let user = caller.user();
        let is_owner = user.is_some_and(|user| user.is_named(&subject.user_id));
        let has = |role| user.is_some_and(|user| user.roles.contains(role));
        let is = |kind: &Kind| match kind {
            Kind::Anyone => true,
            Kind::Browser => self.open_browsing,
            Kind::TokenHolder => subject.has_token,
            Kind::Owner => is_owner,
            Kind::SelfCharger => self.self_charge && is_owner,
            Kind::Admitted => self.is_edge && user.is_some() && (rule.user_id.is_none() || is_owner),
            Kind::Operator => has(Role::Operator),
            Kind::Cashier => has(Role::Cashier),
            Kind::Support => has(Role::Support),
            // The edge is asked nothing, so whoever is asked is no service.
            Kind::Service => false,
        };
        let of_everybody = subject.user_id.is_empty() && !rule.of_everybody.is_empty();
        let may = |kind: &Kind| is(kind) && (!of_everybody || rule.of_everybody.contains(kind));
        if !self.kinds(rule).any(may) {
            return Err(self.refusal(rule, caller));
        }
        // The seller gives a lane: an operator, or the issuer by a claim.
        let given = user.and_then(|user| user.priority).unwrap_or(DEFAULT_PRIORITY);
        match subject.priority {
            Some(lane) if lane != DEFAULT_PRIORITY && lane != given && !has(Role::Operator) => {
                Err(not_allowed(Role::Operator.as_str(), "Another lane than 5 is the seller's to give"))
            }
            _ => Ok(()),
        }
    }

    /// The request, when this caller may make it. What is left out is the caller's: the user, unless the rule
    /// lets this caller mean anybody, and the lane.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn allow<R: Asks>(self, caller: &Caller, mut request: R) -> Result<R, Fault> {
        let user_id = request.user_id().map(|user_id| user_id.clone()).unwrap_or_default();
        let priority = request.priority().and_then(|lane| *lane);
        let mut subject = Subject { user_id, has_token: request.has_token(), priority };
        let mut decided = self.decide(R::RULE, caller, &subject);
        let Some(user) = caller.user() else { return decided.map(|()| request) };
        let may_mean_anybody = decided.is_ok() && !R::RULE.of_everybody.is_empty();
        if subject.user_id.is_empty() && !may_mean_anybody {
            subject.user_id = user.user.to_string();
            decided = self.decide(R::RULE, caller, &subject);
            if let Some(user_id) = request.user_id() {
                user_id.clone_from(&subject.user_id);
            }
        }
        if let Some(lane) = request.priority().filter(|_| user.is_named(&subject.user_id)) {
            *lane = lane.or(user.priority);
        }
        decided.map(|()| request)
    }

    /// Whether this caller may make requests of this rule at all, whatever they are about. Who may not is
    /// told so before anything that was sent is read.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn welcome(self, rule: &Rule, caller: &Caller) -> Result<(), Fault> {
        // A stranger's name is nobody's, and stands for somebody: what is everybody's is another question.
        let user_id = caller.user().map_or_else(|| "-".to_owned(), |user| user.user.to_string());
        self.decide(rule, caller, &Subject { user_id, has_token: rule.token.is_some(), priority: None })
    }

    /// Whether somebody who shows no credentials may make a request of this rule here.
    #[must_use]
    pub fn lets_in_anyone(self, rule: &Rule, has_token: bool) -> bool {
        let subject = Subject { has_token, ..Subject::default() };
        self.decide(rule, &Caller::Unknown(Error::CredentialsMissing), &subject).is_ok()
    }

    /// Whether what this rule is about belongs to users, so that one is refused what is another's.
    #[must_use]
    pub fn is_owned(self, rule: &Rule) -> bool {
        self.kinds(rule).any(|kind| match kind {
            Kind::Owner => true,
            Kind::SelfCharger => self.self_charge,
            Kind::Admitted => self.is_edge,
            Kind::Anyone
            | Kind::Browser
            | Kind::TokenHolder
            | Kind::Operator
            | Kind::Cashier
            | Kind::Support
            | Kind::Service => false,
        })
    }

    /// The role in which a caller makes a request of this rule, about this user, that it was allowed; `None`
    /// where nobody is asked, and for what users may do with what is their own.
    #[must_use]
    pub fn role(self, rule: &Rule, caller: &Caller, user_id: &str) -> Option<Role> {
        let user = caller.user()?;
        let is = |kind: &Kind| match kind {
            Kind::Owner => user.is_named(user_id),
            Kind::SelfCharger => self.self_charge && user.is_named(user_id),
            Kind::Anyone
            | Kind::TokenHolder
            | Kind::Admitted
            | Kind::Browser
            | Kind::Operator
            | Kind::Cashier
            | Kind::Support
            | Kind::Service => false,
        };
        let by_role = |held: Role| self.kinds(rule).any(|kind| role(kind) == Some(held.as_str()));
        user.roles.iter().find(|held| by_role(*held)).filter(|_| !self.kinds(rule).any(is))
    }

    /// Whoever may call it here.
    fn kinds(self, rule: &Rule) -> impl Iterator<Item = &'static Kind> {
        let besides: &[Kind] = if self.is_edge { rule.at_edge } else { &[] };
        rule.callers.iter().chain(besides)
    }

    fn refusal(self, rule: &Rule, caller: &Caller) -> Fault {
        match caller {
            Caller::Unknown(why) => return why.into(),
            Caller::User(user) if self.is_owned(rule) => {
                let detail = format!("This is another user's: the token is {}'s.", user.user);
                return Fault::new(Reason::NotOwner, detail);
            }
            Caller::User(_) | Caller::Unasked => {}
        }
        let roles: Vec<_> = self.kinds(rule).filter_map(role).collect();
        not_allowed(&roles.join(","), "This is not for everybody")
    }
}

impl Caller {
    /// The user, when there is one.
    #[must_use]
    pub const fn user(&self) -> Option<&Identity> {
        match self {
            Self::User(identity) => Some(identity),
            Self::Unasked | Self::Unknown(_) => None,
        }
    }
}

impl Identity {
    /// Whether this is the user's name, in whatever form of Unicode it was typed.
    fn is_named(&self, user_id: &str) -> bool {
        *self.user == *user_id
            || validate::visible(user_id, user_id.len()).is_some_and(|name| *self.user == *name)
    }
}

fn not_allowed(roles: &str, why: &str) -> Fault {
    let detail = format!("{why}: the role {} is needed.", roles.replace(',', " or "));
    Fault::new(Reason::NotAllowed, detail).with("role", roles)
}

/// What a refused caller is told to be instead.
const fn role(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Operator => Some(Role::Operator.as_str()),
        Kind::Cashier => Some(Role::Cashier.as_str()),
        Kind::Support => Some(Role::Support.as_str()),
        Kind::Service => Some("service"),
        Kind::Anyone
        | Kind::TokenHolder
        | Kind::Owner
        | Kind::Admitted
        | Kind::Browser
        | Kind::SelfCharger => None,
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        (&error).into()
    }
}

impl From<&Error> for Fault {
    fn from(error: &Error) -> Self {
        match error {
            Error::CredentialsMissing => Self::new(Reason::CredentialsMissing, error.to_string()),
            Error::CredentialsInvalid(why) => {
                Self::new(Reason::CredentialsInvalid, error.to_string()).with("why", why)
            }
            Error::NotReady => Self::new(Reason::Unavailable, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use boxoffice_proto::{
        access::{RULES, rule},
        booking::{GetReservationRequest, HoldSeatsRequest},
        queue::IssueTokenRequest,
        wallet::GetWalletRequest,
    };

    use super::*;
    use crate::{Roles, Why};

    const EDGE: House = House { self_charge: true, open_browsing: false, is_edge: true };
    const INSIDE: House = House { is_edge: false, ..EDGE };
    const NOBODY: Caller = Caller::Unknown(Error::CredentialsMissing);

    fn user(name: &str, roles: &[Role]) -> Caller {
        let roles = roles.iter().copied().collect();
        Caller::User(Identity { user: name.into(), roles, priority: None, expires_at: i64::MAX })
    }

    fn ask(method: &str, caller: &Caller, user: &str, house: House) -> Result<(), Reason> {
        let rule = RULES.iter().find(|rule| rule.path.ends_with(method)).unwrap();
        let subject = Subject { user_id: user.into(), ..Subject::default() };
        house.decide(rule, caller, &subject).map_err(|fault| fault.reason)
    }

    #[test]
    fn a_caller_may_what_the_rule_names_and_nothing_else() {
        let ann = user("ann", &[]);
        let [operator, cashier, support] = Role::ALL.map(|role| user("x", &[role]));
        let (missing, foreign, denied) =
            (Err(Reason::CredentialsMissing), Err(Reason::NotOwner), Err(Reason::NotAllowed));
        for (method, about, may) in [
            // nobody, ann, operator, cashier, support
            ("/GetShow", "", [Ok(()), Ok(()), Ok(()), Ok(()), Ok(())]),
            ("/CreateShow", "", [missing, denied, Ok(()), denied, denied]),
            ("/IssueToken", "ann", [missing, Ok(()), Ok(()), foreign, foreign]),
            ("/IssueToken", "bob", [missing, foreign, Ok(()), foreign, foreign]),
            ("/GetWallet", "bob", [missing, foreign, Ok(()), foreign, Ok(())]),
            ("/ChargeWallet", "ann", [missing, Ok(()), foreign, Ok(()), foreign]),
            ("/UseWallet", "ann", [missing, denied, denied, Ok(()), denied]),
            ("/Pay", "ann", [missing, Ok(()), foreign, foreign, foreign]),
            ("/ListCheckouts", "ann", [missing, Ok(()), Ok(()), foreign, Ok(())]),
            ("/ListCheckouts", "", [missing, foreign, Ok(()), foreign, Ok(())]),
            ("/ConfirmReservation", "ann", [missing, denied, denied, denied, denied]),
        ] {
            let told =
                [&NOBODY, &ann, &operator, &cashier, &support].map(|caller| ask(method, caller, about, EDGE));
            assert_eq!(told, may, "{method} about {about:?}");
        }
        for rule in RULES {
            let is_for_services = rule.callers == [Kind::Service] && rule.at_edge.is_empty();
            let told = EDGE.decide(rule, &Caller::Unasked, &Subject::default()).map_err(|fault| fault.reason);
            assert_eq!(told, if is_for_services { denied } else { Ok(()) }, "{}", rule.path);
            assert!(INSIDE.decide(rule, &Caller::Unasked, &Subject::default()).is_ok(), "{}", rule.path);
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
            "only the edge knows who is admitted"
        );
        assert_eq!(ask("/ListSeats", &NOBODY, "", EDGE), Err(Reason::CredentialsMissing));
        let open = House { open_browsing: true, ..EDGE };
        assert_eq!(ask("/ListSeats", &NOBODY, "", open), Ok(()));
        let rule = rule("/boxoffice.queue.v1.QueueService/BatchGetTokens").unwrap();
        let holder = Subject { has_token: true, ..Subject::default() };
        assert!(EDGE.decide(rule, &NOBODY, &holder).is_ok());
        assert!(INSIDE.decide(rule, &NOBODY, &holder).is_err());
    }

    #[test]
    fn a_lane_is_given_by_the_seller() {
        let join = |caller: &Caller, priority| {
            let request = IssueTokenRequest { priority, ..IssueTokenRequest::default() };
            EDGE.allow(caller, request).map(|request| request.priority).map_err(|fault| fault.reason)
        };
        let (ann, operator) = (user("ann", &[]), user("root", &[Role::Operator]));
        let roles = Roles::default();
        let vip =
            Caller::User(Identity { user: "vic".into(), roles, priority: Some(1), expires_at: i64::MAX });
        assert_eq!([join(&ann, None), join(&ann, Some(5))], [Ok(None), Ok(Some(5))]);
        assert_eq!([join(&ann, Some(1)), join(&ann, Some(9))], [Err(Reason::NotAllowed); 2]);
        assert_eq!(join(&operator, Some(1)), Ok(Some(1)));
        assert_eq!(
            [None, Some(1), Some(5)].map(|lane| join(&vip, lane)),
            [Ok(Some(1)), Ok(Some(1)), Ok(Some(5))]
        );
        assert_eq!(join(&vip, Some(0)), Err(Reason::NotAllowed));
        let for_another = IssueTokenRequest { user_id: "ann".into(), ..IssueTokenRequest::default() };
        let roles = [Role::Operator].into_iter().collect();
        let operator =
            Caller::User(Identity { user: "root".into(), roles, priority: Some(1), expires_at: i64::MAX });
        assert_eq!(EDGE.allow(&operator, for_another).unwrap().priority, None, "the lane is not ann's");
        assert_eq!(join(&Caller::Unasked, Some(0)), Ok(Some(0)));
    }

    #[test]
    fn a_name_is_the_same_in_every_form_of_unicode() {
        let composed = user("Zo\u{eb}", &[]);
        assert_eq!(ask("/GetWallet", &composed, "Zoe\u{308}", EDGE), Ok(()));
        assert_eq!(ask("/GetWallet", &composed, "Zoe", EDGE), Err(Reason::NotOwner));
    }

    #[test]
    fn a_user_who_is_left_out_is_the_caller_unless_the_caller_may_leave_it_out() {
        let ann = user("ann", &[]);
        let hold = EDGE.allow(&ann, HoldSeatsRequest::default()).unwrap();
        assert_eq!(hold.user_id, "ann");
        assert_eq!(EDGE.allow(&ann, GetReservationRequest::default()).unwrap().user_id, "ann");
        let support = user("sue", &[Role::Support]);
        assert_eq!(EDGE.allow(&support, GetReservationRequest::default()).unwrap().user_id, "", "anybody's");
        let named = GetWalletRequest { user_id: "bob".into() };
        assert_eq!(EDGE.allow(&ann, named.clone()).unwrap_err().reason, Reason::NotOwner);
        assert_eq!(EDGE.allow(&Caller::Unasked, named).unwrap().user_id, "bob");
    }

    #[test]
    fn why_credentials_are_refused_is_told() {
        let expired = Caller::Unknown(Why::Expired.into());
        let fault = EDGE.allow(&expired, GetWalletRequest::default()).unwrap_err();
        assert_eq!((fault.reason, fault.metadata["why"].as_str()), (Reason::CredentialsInvalid, "expired"));
        let early = Caller::Unknown(Error::NotReady);
        assert_eq!(ask("/GetWallet", &early, "ann", EDGE), Err(Reason::Unavailable));
    }
}
