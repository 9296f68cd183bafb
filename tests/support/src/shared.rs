//! One server of each flavor for all tests of a process, and a database for each of them.

use std::env;
use std::sync::OnceLock;

use mysql::Conn;
use mysql::prelude::Queryable;

use crate::builder::StartError;
use crate::flavor::Flavor;
use crate::server::{Server, opts};

/// The process's server of this flavor, started at its first use. `None`, with a word on stderr,
/// if it cannot be had on this machine; but in CI that is a failure, lest nothing be tested there.
///
/// # Panics
///
/// If the server is there but does not start, or if it is not there and `CI` is set.
pub fn shared(flavor: Flavor) -> Option<&'static Server> {
    static SERVERS: [OnceLock<Option<Server>>; 3] = [const { OnceLock::new() }; 3];
    let server = SERVERS[flavor as usize].get_or_init(|| available(Server::start(flavor)));
    server.as_ref()
}

/// The server, or `None` with a word on stderr if it cannot be had on this machine: for tests that
/// start servers of their own.
///
/// # Panics
///
/// If the server is there but does not start, or if it is not there and `CI` is set.
pub fn available(started: Result<Server, StartError>) -> Option<Server> {
    match started {
        Ok(server) => Some(server),
        Err(StartError::Unavailable(why)) if env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: {why}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A database of one test.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    url: String,
}

/// Creates the database `name`, empty: an older one is dropped.
///
/// # Panics
///
/// If the server does not do it.
#[track_caller]
pub fn database(server: &Server, name: &str) -> Database {
    let mut conn = server.conn();
    let quoted = name.replace('`', "``");
    for sql in
        [format!("DROP DATABASE IF EXISTS `{quoted}`"), format!("CREATE DATABASE `{quoted}`")]
    {
        conn.query_drop(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    Database { name: name.to_owned(), url: server.url_for(name) }
}

impl Database {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it.
    ///
    /// # Panics
    ///
    /// If there is none to be had.
    #[track_caller]
    pub fn conn(&self) -> Conn {
        Conn::new(opts(&self.url)).unwrap_or_else(|error| panic!("{}: {error}", self.url))
    }
}
