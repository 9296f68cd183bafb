//! SQL text: identifiers, literals, keys and the statements of a run. Pure: nothing here talks to
//! a server. The user's ALTER clause ([`alter`]) is the only text that is passed on as it came.

pub(crate) mod alter;
pub(crate) mod ident;
pub(crate) mod key;
pub(crate) mod key_value;
pub(crate) mod literal;
pub(crate) mod mentions;
pub(crate) mod predicate;
pub(crate) mod statements;
pub(crate) mod tokens;

pub(crate) use ident::{Ident, TableName};
pub(crate) use key::{Key, KeyColumn, KeyShape};
pub(crate) use key_value::KeyType;

/// The tag by which DBAs, and we ourselves, know our statements in the process list.
pub(crate) const TAG: &str = "/* online-alter */";
