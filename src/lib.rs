//! Changes the definition of huge MySQL and MariaDB tables while applications keep writing to
//! them.
//!
//! `online-alter` makes an empty copy of the table, has the server alter that, fills it while it
//! follows the table's changes through the binlog, and swaps the two in a moment that writers
//! hardly notice. No triggers, no locks on the application's rows, no row that passes through the
//! client: from the binlog it reads only **which keys changed**, and the server itself makes the
//! copy equal to the table at those keys.
//!
//! # Quick start
//!
//! ```no_run
//! use online_alter::{Event, OnlineAlter, Postpone};
//! use online_alter::throttle::StatusLimits;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let busy: StatusLimits = "Threads_running=25".parse()?;
//! let plan = OnlineAlter::new("mysql://dba:secret@db1:3306/edxapp", "courseware_studentmodule")
//!     .alter("CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
//!     .limits(|limits| limits.max_load = busy)
//!     .postpone_cut_over(Postpone::while_file_exists("/tmp/csm.postpone"))
//!     .observer(|event: &Event| println!("{event:?}"))
//!     .plan()?; // nothing is written yet
//! println!("{plan}");
//!
//! let run = plan.start()?;
//! println!("{}", run.progress());
//! let report = run.join()?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! [`OnlineAlter`] collects what is wanted, [`OnlineAlter::plan`] looks at the server and refuses
//! what cannot be done, a [`Plan`] can be printed, [run](Plan::run) on this thread or
//! [started](Plan::start), and a [`Handle`] watches, holds back, releases or aborts the run. It is
//! all [`Send`], and several alters may run in one process.
//!
//! # What it is not
//!
//! - A run that died is [gone on with](OnlineAlter::resume) on the server that it ran on, and nowhere else; a test on a
//!   replica is not.
//! - It writes to one server, the primary or a [replica that is meant alone](OnlineAlter::on_replica), and reads the binlog there or on a
//!   replica; it refuses Galera, group replication with several primaries,
//!   foreign keys that refer to the table, and what the README lists under "Limits". Foreign keys to
//!   other tables and triggers are taken over [when](OnlineAlter::keep_foreign_keys)
//!   [told to](OnlineAlter::include_triggers).
//!
//! # What it needs
//!
//! MySQL 8.0.13 or MariaDB 10.6, or later; InnoDB; the binary log in row format, there or on the replica that is read; a primary key, or
//! a unique key of NOT NULL columns, whose columns the ALTER keeps; room for a second copy of the
//! table. The user needs ALTER, CREATE, DELETE, DROP, INSERT, LOCK TABLES, SELECT, TRIGGER and
//! UPDATE on the schema, and REPLICATION SLAVE and REPLICATION CLIENT (MariaDB: BINLOG MONITOR) on
//! the server; `docs/PRIVILEGES.md` in the package has what each option needs besides, to be pasted.
//! [`OnlineAlter::plan`] lists exactly what is missing.
//!
//! # Names on the server
//!
//! As gh-ost has them, so that filters and backups know them: `_t_gho` is the copy, `_t_ghc` holds
//! the run's state and heartbeats, `_t_del` is the table as it was. Statements that move rows carry
//! the comment `/* online-alter */`, and connections the attributes
//! `program_name=online-alter`, `program_version` and `table=schema.t`, besides those of the caller's [`mysql::Opts`].
//!
//! # Errors
//!
//! An [`Error`] says what went wrong ([`ErrorKind`]), in which [`Phase`], what is left on the
//! server, and whether the table is untouched, swapped, or neither is known ([`TableState`]).
//! Rows that verification found different are in [`Error::differences`], with key, column and both
//! values: mind who reads it.
//!
//! # Logging
//!
//! Through the `log` crate, by this contract: **error**: nothing, errors are returned; **warn**: the
//! run met something that a person should know even if it ends well; **info**: changes to the server
//! that outlive the run; **debug**: phases, retries, reconnects; **trace**: each statement,
//! with key values. Passwords are never logged, and nothing is ever printed.
//!
//! # Features
//!
//! - `rustls` or `native-tls`: TLS to the servers ([`Tls`]), by rustls with ring, or by what the system has (OpenSSL on
//!   Linux, whose headers it is built with). Only one of the two: the `mysql` crate does not compile with both. A program
//!   that has several of rustls's providers compiled in has to install one of them as the default of the process.
//! - `http`: throttling by an HTTP check (`throttle::HttpCheck`).
//!
//! # Versions
//!
//! The minimum Rust version is 1.88, which `mysql_common` needs; raising it is a minor release. [`mysql`] is part of the
//! interface ([`Endpoint`]): its major releases are ours too.
#![warn(missing_docs)]

// From the entry down: a module imports only from those below it.
mod cleanup;
mod compare;
mod online_alter;

mod planning;

mod plan;

mod migration;

mod verify;

mod copy;
mod cutover;

mod refresh;

mod checkpoint;
mod inspect;

mod binlog;
pub mod throttle;

mod db;

mod sql;

mod aside;
mod cancel;
mod difference;
mod endpoint;
mod error;
mod fault;
#[doc(hidden)]
pub mod internals;
mod obstacle;
mod steps;
mod tls;

pub use binlog::BinlogPosition;
pub use cleanup::{Cleaned, Cleanup, Evidence, Remnant, Removal, Role, cleanup};
pub use compare::{Compare, Comparison};
pub use copy::ChunkSize;
pub use cutover::{Blocker, KillBlockers};
pub use difference::{ColumnDifference, Difference, DifferenceKind};
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, Leftover, Phase, Result, TableState};
pub use inspect::platform::{ParsePlatformError, Platform, PreflightItem, PreflightOutcome};
pub use inspect::topology::find_primary;
pub use migration::{
    Event, Handle, IndexBuild, NativeAlter, Observer, OldTable, OnMismatch, OnReplica, Postpone,
    Progress, Rehearsal, RehearsalHandle, ReplicaTest, Report, Verification,
};
pub use mysql;
pub use obstacle::{Obstacle, ObstacleKind};
pub use online_alter::OnlineAlter;
pub use plan::{Plan, Warning};
#[doc(hidden)]
pub use steps::Step;
pub use tls::Tls;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
