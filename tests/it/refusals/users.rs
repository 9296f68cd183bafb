//! Users, with too few privileges and with just enough.

use online_alter::{ErrorKind, OnlineAlter, TableState};

use super::{PASSWORD, User, alone, is, plain_table, refused, sql};
use crate::harness::tables;

#[test]
fn a_user_who_lacks_one_privilege() {
    alone("refuse_privilege", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "lacks_one");
        user.grant_all_needed();
        for (privilege, on) in user.needed() {
            sql(&mut server.conn(), &[&format!("REVOKE {privilege} ON {on} FROM {}", user.name)]);
            let error = refused(server, db, user.alter("t"));
            let grant = format!(": GRANT {privilege} ON {on} TO `lacks_one`@`%`");
            is(&error, ErrorKind::Privileges, &[&grant]);
            assert_eq!(error.message().matches("GRANT").count(), 1, "{error}");
            // The advice can be followed to the letter.
            let advice = &error.message()[error.message().find("GRANT").unwrap()..];
            sql(&mut server.conn(), &[advice]);
            drop(user.alter("t").plan().unwrap());
        }
    });
}

#[test]
fn a_user_without_any_privilege() {
    alone("refuse_nobody", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "nobody");
        // Into the schema he may not even go, so he names it.
        let url = format!("mysql://nobody:{PASSWORD}@127.0.0.1:{}", server.port());
        let to_schema = OnlineAlter::new(url, "t").schema(db.name()).alter("ADD COLUMN c INT");
        let error = refused(server, db, to_schema);
        let all = user.needed();
        let words: Vec<&str> = all.iter().map(|(privilege, _)| *privilege).collect();
        is(&error, ErrorKind::Privileges, &words);
        let error = refused(server, db, user.alter("t"));
        assert!(
            [ErrorKind::Privileges, ErrorKind::AccessDenied].contains(&error.kind()),
            "{error}"
        );
    });
}

#[test]
fn a_user_with_just_the_privileges_needed() {
    alone("accept_least", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "least");
        user.grant_all_needed();
        user.runs_under_writers(db);
    });
}

/// Without temporary tables rows can still be compared, unless only storing a value shows what it
/// becomes.
#[test]
fn a_user_without_temporary_tables() {
    alone("refuse_temporary", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "no_temporary");
        user.grant_all_needed();
        let url =
            format!("mysql://no_temporary:{PASSWORD}@127.0.0.1:{}/{}", server.port(), db.name());
        let clause = "MODIFY v VARCHAR(30)";
        let to_text = || OnlineAlter::new(url.as_str(), "t").alter(clause);
        let error = to_text().run().unwrap_err();
        is(&error, ErrorKind::Privileges, &["CREATE TEMPORARY TABLES", "v"]);
        assert_eq!(error.table_state(), TableState::Untouched, "{error}");
        assert_eq!(tables(&mut db.conn()), ["t"]);
        let report = to_text().verify(false).run().unwrap_or_else(|error| panic!("{error}"));
        assert!(report.verification.is_none());
        let back =
            OnlineAlter::new(url.as_str(), "t").alter("MODIFY v INT").replace_old_table(true);
        let grant = format!("GRANT CREATE TEMPORARY TABLES ON `{}`.* TO no_temporary", db.name());
        sql(&mut server.conn(), &[&grant]);
        let report = back.run().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.verification.unwrap().repaired, 0);
    });
}

#[test]
fn a_user_with_a_role() {
    alone("accept_role", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "actor");
        let mut conn = server.conn();
        sql(&mut conn, &["DROP ROLE IF EXISTS hero", "CREATE ROLE hero", "GRANT hero TO actor"]);
        user.grant_all_needed_to("hero");
        // A role that is not in force gives nothing.
        sql(&mut conn, &[&format!("GRANT SELECT ON `{}`.* TO actor", db.name())]);
        let error = refused(server, db, user.alter("t"));
        is(&error, ErrorKind::Privileges, &["ALTER", "REPLICATION SLAVE"]);
        assert!(!error.message().contains("SELECT"), "{error}");
        let default = if server.flavor().is_mariadb() {
            "SET DEFAULT ROLE hero FOR actor"
        } else {
            "SET DEFAULT ROLE hero TO actor"
        };
        sql(&mut conn, &[default]);
        user.runs_under_writers(db);
    });
}
