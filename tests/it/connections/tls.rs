//! TLS: all connections of a run, and what is refused.

use std::time::Duration;

use mysql::prelude::Queryable;
use online_alter::{ChunkSize, Endpoint, ErrorKind, Phase, Postpone, TableState, Tls};
use online_alter_support::{
    Certificates, Database, Flavor, Server, Table, Workload, Writers, available, check, csm,
    database,
};

use crate::harness::{FLAVORS, alter_at, tables, wait_until};

const BIGINT: &str = "CHANGE id id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT";

fn start(flavor: Flavor, certificates: &Certificates) -> Option<Server> {
    available(Server::builder(flavor).tls(certificates).start())
}

/// Trusts the authority, and shows the client's certificate.
fn with_client(certificates: &Certificates) -> Tls {
    let tls = Tls::new().ca(certificates.file("ca.pem"));
    let (certificate, key) = (certificates.file("client.pem"), certificates.file("client-key.pem"));
    if cfg!(feature = "rustls") {
        return tls.client_certificate(certificate, key);
    }
    let archive = certificates.file("client.p12");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["pkcs12", "-export", "-passout", "pass:word", "-in"]).arg(certificate);
    openssl.arg("-inkey").arg(key).arg("-out").arg(&archive);
    assert!(openssl.status().unwrap().success(), "{openssl:?}");
    tls.client_pkcs12(archive, Some("word"))
}

/// Somebody who may do everything, but has to show a certificate.
fn create_user(server: &Server) {
    let mut conn = server.conn();
    conn.query_drop("CREATE USER careful@'%' IDENTIFIED BY 'secret' REQUIRE X509").unwrap();
    conn.query_drop("GRANT ALL ON *.* TO careful@'%'").unwrap();
}

fn endpoint(server: &Server, host: &str, db: &Database) -> Endpoint {
    format!("mysql://careful:secret@{host}:{}/{}", server.port(), db.name()).as_str().into()
}

/// The run, its stream from a replica and its looks at replicas: no connection is without TLS, nor could it be.
#[test]
fn all_connections_of_a_run() {
    for flavor in FLAVORS {
        let certificates = Certificates::new().unwrap();
        let Some(primary) = start(flavor, &certificates) else { continue };
        create_user(&primary);
        let builder = Server::builder(flavor).tls(&certificates).replica_of(&primary);
        let Some(replica) = available(builder.start()) else { continue };
        let db = database(&primary, "tls_run");
        let mut conn = db.conn();
        csm::create_table(&mut conn, csm::TABLE).unwrap();
        csm::fill(&mut conn, csm::TABLE, 2_000).unwrap();
        primary.wait_for_replica(&replica).unwrap();
        let mut workload = Workload::new(Table::csm(csm::TABLE));
        workload.rate = Some(300.0);
        let writers = Writers::start(db.url(), workload).unwrap();
        wait_until("they write", || writers.statements() > 50);
        let mut there = replica.conn();
        for conn in [&mut conn, &mut there] {
            conn.query_drop("SET GLOBAL require_secure_transport = ON").unwrap();
        }
        assert!(primary.connect().is_err() && replica.connect().is_err());
        let tls = with_client(&certificates);
        let there_too = endpoint(&replica, "127.0.0.1", &db).tls(&tls);
        let here = endpoint(&primary, "127.0.0.1", &db).tls(&tls);
        let handle = alter_at(here, csm::TABLE, BIGINT)
            .stream_from(there_too.clone())
            .limits(|limits| {
                limits.control_replicas = vec![there_too];
                limits.attached_replicas = true;
                limits.max_lag = Some(Duration::from_secs(20));
            })
            .chunk_size(ChunkSize::Rows(100))
            .postpone_cut_over(Postpone::until_released())
            .start()
            .unwrap_or_else(|error| panic!("{error}"));
        let postponed = || handle.progress().phase == Phase::Postponed;
        wait_until("it is postponed, or has failed", || postponed() || handle.is_finished());
        handle.cut_over();
        let report = handle.join().unwrap_or_else(|error| panic!("{error}"));
        for conn in [&mut conn, &mut there] {
            conn.query_drop("SET GLOBAL require_secure_transport = OFF").unwrap();
        }
        let goal = writers.statements() + 50;
        wait_until("they go on", || writers.statements() > goal);
        let outcome = writers.stop();
        assert_eq!(outcome.errors, Vec::<String>::new());
        check(&mut conn, &Table::csm(csm::TABLE), &outcome).unwrap().assert_clean();
        assert!(report.keys_changed > 0 && report.reconciled_keys.is_empty(), "{report:?}");
        assert_eq!(tables(&mut conn), [format!("_{}_del", csm::TABLE), csm::TABLE.to_owned()]);
    }
}

#[test]
fn what_is_refused() {
    for flavor in FLAVORS {
        let certificates = Certificates::new().unwrap();
        let others = Certificates::new().unwrap();
        let Some(server) = start(flavor, &certificates) else { continue };
        create_user(&server);
        let db = database(&server, "tls_refused");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        let mut refused = |endpoint: Endpoint, kind: ErrorKind, why: &str| {
            let error = alter_at(endpoint, "t", "ADD c INT").run().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.table_state(), TableState::Untouched);
            let text = error.to_string();
            assert!(text.contains(why) && !text.contains("secret"), "{why}: {text}");
            assert_eq!(tables(&mut conn), ["t"]);
        };
        let here = || endpoint(&server, "127.0.0.1", &db);
        let elsewhere = || endpoint(&server, "localhost", &db);
        let good = with_client(&certificates);
        let unknown = with_client(&others);
        let anybody = || Tls::new().ca(certificates.file("ca.pem"));

        refused(here(), ErrorKind::AccessDenied, "without TLS");
        let why = "by TLS without a client certificate";
        refused(here().tls(&anybody()), ErrorKind::AccessDenied, why);
        refused(here().tls(&unknown), ErrorKind::Connection, "certificate");
        refused(here().tls(&Tls::new()), ErrorKind::Connection, "certificate");
        refused(elsewhere().tls(&good), ErrorKind::Connection, "certificate");
        let nowhere = Tls::new().ca("/nowhere/ca.pem");
        refused(here().tls(&nowhere), ErrorKind::Config, "/nowhere/ca.pem");
        // The server does not trust this one, whatever we trust.
        let strange = unknown.danger_accept_any_certificate(true);
        let error = alter_at(here().tls(&strange), "t", "ADD c INT").plan().unwrap_err();
        let kinds = [ErrorKind::AccessDenied, ErrorKind::Connection];
        assert!(kinds.contains(&error.kind()), "{error}");

        let careless = good.clone().danger_accept_any_certificate(true);
        for endpoint in [here().tls(&good), elsewhere().tls(&careless)] {
            let _ = alter_at(endpoint, "t", "ADD c INT").plan().unwrap();
        }
    }
}

/// Whoever asks for TLS does not get less.
#[test]
fn a_server_without_tls() {
    for flavor in FLAVORS {
        let off = if flavor.is_mariadb() { "--skip-ssl" } else { "--tls-version=" };
        let Some(server) = available(Server::builder(flavor).option(off).start()) else { continue };
        let db = database(&server, "tls_none");
        let mut conn = db.conn();
        conn.query_drop("CREATE TABLE t (id INT PRIMARY KEY)").unwrap();
        let tls = Tls::new().danger_accept_any_certificate(true);
        let endpoint = Endpoint::from(db.url()).tls(&tls);
        let error = alter_at(endpoint, "t", "ADD c INT").run().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
        assert!(error.to_string().contains("TLS"), "{error}");
        assert_eq!(tables(&mut conn), ["t"]);
    }
}
