//! Who a verified token speaks for.

use std::{fmt, sync::Arc};

use boxoffice_proto::validate;

/// Characters that a user's id may have in a token: as many as the contract has for a user, so that whoever
/// is let in can be named in every request.
const LONGEST_USER: usize = *validate::USER_ID_LENGTH.end();

/// Who calls, as an issuer says. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user: 1 to 64 visible characters in Unicode's form C.
    pub user: Arc<str>,
    /// What the user may do besides what any user may.
    pub roles: Roles,
    /// The place in line that the seller gives (claim `boxoffice_priority`).
    pub priority: Option<i32>,
    /// When the token expires, in microseconds since the epoch.
    pub expires_at: i64,
}

/// A user's id in the form in which it is compared; `None` when it is not a valid one.
pub(crate) fn user(id: &str) -> Option<Arc<str>> {
    validate::visible(id, LONGEST_USER).map(Arc::from)
}

/// What somebody may do besides what any user may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Runs the sale.
    Operator,
    /// Takes and gives money.
    Cashier,
    /// Helps users.
    Support,
}

impl Role {
    /// Every role that there is.
    pub const ALL: [Self; 3] = [Self::Operator, Self::Cashier, Self::Support];

    /// The word for it in a token.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Cashier => "cashier",
            Self::Support => "support",
        }
    }
}

/// A set of roles.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// The roles among these words. The others are for other programs of the same issuer.
    pub(crate) fn among<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        words
            .into_iter()
            .filter_map(|word| Role::ALL.into_iter().find(|role| role.as_str() == word))
            .collect()
    }

    /// Whether the role is one of them.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & Self::bit(role) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }

    const fn bit(role: Role) -> u8 {
        1 << role as u8
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | Self::bit(role)))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
