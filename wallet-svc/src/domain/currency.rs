//! The currency of every wallet of an installation. Amounts are whole numbers of its minor unit; nothing is ever converted.

use std::{fmt, str::FromStr};

/// An ISO 4217 code, such as KRW.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency(String);

/// A text that is no currency code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three upper-case letters, such as KRW")]
pub struct NotACurrency;

impl FromStr for Currency {
    type Err = NotACurrency;

    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        let fits = code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase());
        if fits { Ok(Self(code.to_owned())) } else { Err(NotACurrency) }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_upper_case_letters() {
        assert_eq!("KRW".parse::<Currency>().map(|currency| currency.to_string()), Ok("KRW".to_owned()));
        for wrong in ["", "KR", "KRWX", "krw", "K1W", "₩₩₩", " KRW"] {
            assert_eq!(wrong.parse::<Currency>(), Err(NotACurrency), "{wrong:?}");
        }
    }
}
