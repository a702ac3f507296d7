//! Who asks. Each door makes one value a request out of what it was sent, and use cases decide with it.

use boxoffice_proto::{Fault, Reason, validate::Checks};
use uuid::Uuid;

/// Who asks, as far as the door knows: whoever presents this queue token.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token as it was presented.
    queue_token: Option<String>,
    /// The header or field in which this door takes it: refusals name it.
    sent_as: &'static str,
}

impl Caller {
    /// A caller who presented this queue token in this header or field. An empty token is no token.
    pub(crate) fn new(sent_as: &'static str, queue_token: Option<&str>) -> Self {
        let queue_token = queue_token.map(str::trim).filter(|token| !token.is_empty()).map(str::to_owned);
        Self { queue_token, sent_as }
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
