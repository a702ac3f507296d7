//! The signature of a message, as Standard Webhooks has it: by it a receiver knows that the message is ours,
//! and when it was sent.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac::{HMAC_SHA256, Key, sign};

/// What every secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret: as many as the specification lets it have.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that we share with a receiver. It cannot be shown.
#[derive(Clone)]
pub(super) struct SigningSecret(Key);

impl SigningSecret {
    /// Reads `whsec_` and base64. An error does not repeat what was read.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let why = || {
            let (least, most) = (LENGTHS.start(), LENGTHS.end());
            format!("is {PREFIX} and then base64 of {least} to {most} random bytes")
        };
        let coded = text.strip_prefix(PREFIX).ok_or_else(why)?;
        let bytes = STANDARD.decode(coded).map_err(|_| why())?;
        if LENGTHS.contains(&bytes.len()) { Ok(Self(Key::new(HMAC_SHA256, &bytes))) } else { Err(why()) }
    }

    /// The value of `webhook-signature` for a message of this id, sent at this second.
    pub(super) fn signature(&self, id: &str, second: i64, body: &str) -> String {
        let tag = sign(&self.0, format!("{id}.{second}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(tag.as_ref()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_signed_as_the_specification_s_own_example_is() {
        let secret = SigningSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature =
            secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_repeated() {
        for bad in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8G",
            "whsec_M!KQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let why = SigningSecret::read(bad).map(drop).unwrap_err();
            assert!(why.contains("whsec_") && !why.contains("KQ9r8G"), "{bad}: {why}");
        }
    }
}
