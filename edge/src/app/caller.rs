//! Who asks. Each door makes one value a request out of what it was sent, and use cases decide with it.

use access::{House, Role};
use boxoffice_proto::{Fault, Reason, access::Asks, validate::Checks};
use uuid::Uuid;

/// Who asks: the user that is proved, and the queue token that is presented.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    who: access::Caller,
    house: House,
    /// The token as it was presented.
    queue_token: Option<String>,
    /// The header or field in which this door takes it: refusals name it.
    sent_as: &'static str,
}

impl Caller {
    /// A caller who presented this queue token in this header or field. An empty token is no token.
    pub(crate) fn new(
        who: access::Caller,
        house: House,
        sent_as: &'static str,
        queue_token: Option<&str>,
    ) -> Self {
        let queue_token = queue_token.map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        Self { who, house, queue_token, sent_as }
    }

    /// The request, when this caller may make it, with what it leaves out and the caller stands for. It is
    /// the first thing that a use case asks, since permission comes before everything that could be looked
    /// up.
    ///
    /// # Errors
    /// CREDENTIALS_MISSING, CREDENTIALS_INVALID, NOT_OWNER, NOT_ALLOWED.
    pub(super) fn allow<R: Asks>(&self, request: R) -> Result<R, Fault> {
        self.house.allow(&self.who, request)
    }

    /// Why a request that services of the mesh make among themselves is refused at this door, whoever makes
    /// it.
    pub(crate) fn refusal<R: Asks>(&self, request: R) -> Fault {
        let refused = self.allow(request).err();
        refused.unwrap_or_else(|| Fault::new(Reason::NotAllowed, Reason::NotAllowed.title()))
    }

    /// Whether it is proved who asks.
    pub(crate) const fn is_known(&self) -> bool {
        self.who.user().is_some()
    }

    /// The user who asks, where it is proved who that is.
    pub(super) fn user(&self) -> Option<&str> {
        self.who.user().map(|user| &*user.user)
    }

    /// The role in which this caller makes a request of this kind about a user; `None` where nobody is asked,
    /// and for what users may do with what is their own.
    pub(super) fn role<R: Asks>(&self, user_id: &str) -> Option<Role> {
        self.house.role(R::RULE, &self.who, user_id)
    }

    /// The queue token, well-formed; whether it is ACTIVE is for the gate to find out.
    ///
    /// # Errors
    /// TOKEN_MISSING; INVALID_ARGUMENT when it is no UUID.
    pub(super) fn queue_token(&self) -> Result<Uuid, Fault> {
        let token = self.queue_token.as_deref().ok_or_else(|| {
            let detail =
                "Join the queue, wait until the token is ACTIVE, and send it along (header X-Queue-Token).";
            Fault::new(Reason::TokenMissing, detail)
        })?;
        let mut checks = Checks::default();
        let token = checks.uuid(self.sent_as, token);
        checks.finish()?;
        Ok(token)
    }
}
