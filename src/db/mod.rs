//! The only place that talks SQL to a connection.

mod connector;
mod limit;
mod mark;
mod modes;
mod retries;
mod session;
mod setup;

pub(crate) use connector::to_error;
pub(crate) use connector::{Connector, Flavor};
pub(crate) use mark::Mark;
pub(crate) use modes::{Dates, Modes, RowsMode, SqlMode};
pub(crate) use retries::{Backoff, Retries};
pub(crate) use session::{
    DEFAULT_GROUP, Done, NamedRow, Purpose, Session, in_group, is_elsewhere, missing,
};
