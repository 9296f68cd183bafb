//! The modes that take a replica.

use online_alter::Endpoint;
use online_alter_support::{Flavor, Server, available};

use super::{User, runs_under_writers, schema, sql};
use crate::harness::{FLAVORS, tables};

const CLAUSE: &str = "ADD COLUMN c INT";

fn pair(flavor: Flavor, options: &[&str]) -> Option<(Server, Server)> {
    let builder = options.iter().fold(Server::builder(flavor), |b, option| b.option(*option));
    let primary = available(builder.start())?;
    let replica = available(Server::builder(flavor).replica_of(&primary).start())?;
    Some((primary, replica))
}

#[test]
fn the_binlog_of_a_replica() {
    for flavor in FLAVORS {
        for format in ["ROW", "STATEMENT"] {
            let option = format!("--binlog-format={format}");
            let Some((primary, replica)) = pair(flavor, &[&option]) else { continue };
            let db = schema(&primary, "priv_stream");
            primary.wait_for_replica(&replica).unwrap();
            let lists: &[&str] = match format {
                "ROW" => &["stream-primary"],
                _ => &["stream-primary", "stream-primary-statements"],
            };
            let user = User::with(&primary, db.name(), "priv_stream", lists);
            let there = User::with(&replica, db.name(), "priv_there", &["stream-replica"]);
            let alter = || user.alter(CLAUSE).stream_from(there.url());
            user.needs_all(&db, alter);
            there.needs_all(&db, alter);
            runs_under_writers(&db, alter());
        }
    }
}

#[test]
fn the_lag_of_replicas() {
    for flavor in FLAVORS {
        let Some((primary, replica)) = pair(flavor, &[]) else { continue };
        let db = schema(&primary, "priv_lag");
        primary.wait_for_replica(&replica).unwrap();
        let user = User::with(&primary, db.name(), "priv_lag", &["plain"]);
        let there = User::with(&replica, db.name(), "priv_control", &["lag"]);
        let alter = |replicas: Vec<Endpoint>| {
            user.alter(CLAUSE).limits(|limits| limits.control_replicas = replicas)
        };
        let control = || alter(vec![there.url().into()]);
        there.needs_all(&db, control);
        runs_under_writers(&db, control());
        sql(&mut db.conn(), &["DROP TABLE _t_del"]);
        // One that cannot be reached may be there later.
        drop(alter(vec!["mysql://nobody@127.0.0.1:1/x".into()]).plan().unwrap());

        // Those that are attached are asked by the same user.
        let db = schema(&primary, "priv_lag");
        let lists: &[&str] = if flavor.is_mariadb() { &["plain", "attached"] } else { &["plain"] };
        let user = User::with(&primary, db.name(), "priv_lag", lists);
        // His privileges on the primary have not come here.
        let _there = User::with(&replica, db.name(), "priv_lag", &["lag"]);
        let attached =
            || user.alter("ADD COLUMN d INT").limits(|limits| limits.attached_replicas = true);
        user.needs_all(&db, attached);
        runs_under_writers(&db, attached());
        assert_eq!(tables(&mut db.conn()), ["_t_del", "t"]);
    }
}
