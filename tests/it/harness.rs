//! What the tests share.

use mysql::Conn;
use mysql::prelude::Queryable;
use online_alter::OnlineAlter;
use online_alter_support::{Database, Flavor, Server, database, shared};

/// Every flavor that has its own strategy or protocol.
pub(crate) const FLAVORS: [Flavor; 2] = [Flavor::Mysql, Flavor::MariaDb];

/// Runs the test on each flavor's shared server, in a database of its own.
pub(crate) fn on_each(name: &str, test: impl Fn(&Server, &Database)) {
    for flavor in FLAVORS {
        on(flavor, name, &test);
    }
}

/// Runs the test on one flavor's shared server, in a database of its own.
pub(crate) fn on(flavor: Flavor, name: &str, test: impl Fn(&Server, &Database)) {
    let Some(server) = shared(flavor) else { return };
    eprintln!("{name} on {flavor}");
    test(server, &database(server, name));
}

/// An alter in the database, quick to notice things.
pub(crate) fn alter(db: &Database, table: &str, clause: &str) -> OnlineAlter {
    OnlineAlter::new(db.url(), table)
        .alter(clause)
        .heartbeat_interval(std::time::Duration::from_millis(50))
}

/// The tables of a schema, sorted.
pub(crate) fn tables(conn: &mut Conn) -> Vec<String> {
    conn.query(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() \
         ORDER BY BINARY TABLE_NAME",
    )
    .unwrap()
}
