//! The currencies in which amounts are counted, from the list of ISO 4217.

use std::{fmt, str::FromStr};

/// A currency with a minor unit; amounts are whole numbers of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency {
    code: iso_currency::Currency,
    exponent: i32,
}

/// The error for a text that names no currency in which a ticket can be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not the code of a currency with a minor unit in ISO 4217, in capitals, such as KRW, JPY, EUR or USD"
)]
pub struct NotACurrency;

impl Currency {
    /// The currency's code: three capitals.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.code.code()
    }

    /// How many decimal digits the minor unit is: 0 for KRW (an amount of 1 is ₩1), 2 for EUR (an amount of 1
    /// is €0.01).
    #[must_use]
    pub const fn exponent(self) -> i32 {
        self.exponent
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;

    /// Metals, test codes and the like are in the list too, without a minor unit. A currency that was
    /// replaced by another one is accepted, so that after an update of the list a house can still pay back
    /// what it took.
    fn from_str(code: &str) -> Result<Self, NotACurrency> {
        let code = iso_currency::Currency::from_code(code).ok_or(NotACurrency)?;
        Ok(Self { code, exponent: code.exponent().ok_or(NotACurrency)?.into() })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_one_of_the_list_and_knows_its_minor_unit() {
        for (code, exponent) in [("KRW", 0), ("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("HRK", 2)] {
            let read = code.parse::<Currency>().map(|currency| (currency.to_string(), currency.exponent()));
            assert_eq!(read, Ok((code.to_owned(), exponent)));
        }
        for wrong in ["", "KR", "KRX", "ZZZ", "XAU", "XTS", "KRWX", "krw", "K1W", "₩₩₩", " KRW"] {
            assert_eq!(wrong.parse::<Currency>(), Err(NotACurrency), "{wrong:?}");
        }
    }
}
