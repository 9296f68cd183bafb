//! TLS on the command line, and in option files.

use std::fs;

use online_alter::mysql::prelude::Queryable;
use online_alter_support::{Certificates, Flavor, Server, available, csm, database};

use crate::harness::{BIGINT, Bench, path};

#[test]
fn servers_that_ask_for_certificates() {
    for flavor in [Flavor::Mysql, Flavor::MariaDb] {
        let certificates = Certificates::new().unwrap();
        let start =
            |builder: online_alter_support::Builder| available(builder.tls(&certificates).start());
        let Some(server) = start(Server::builder(flavor)) else { continue };
        let mut conn = server.conn();
        conn.query_drop("CREATE USER careful@'%' IDENTIFIED BY 'secret' REQUIRE X509").unwrap();
        conn.query_drop("GRANT ALL ON *.* TO careful@'%'").unwrap();
        let Some(replica) = start(Server::builder(flavor).replica_of(&server)) else { continue };
        let [ca, certificate, key] =
            ["ca.pem", "client.pem", "client-key.pem"].map(|name| certificates.file(name));
        let (ca, certificate, key) = (path(&ca), path(&certificate), path(&key));

        let db = database(&server, "example_tls");
        let bench = Bench::new(&server, db, "example_tls", 500);
        server.wait_for_replica(&replica).unwrap();
        let at = |host: &str, port: u16| format!("mysql://careful@{host}:{port}");
        let url = format!("{}/{}", at("127.0.0.1", server.port()), bench.db.name());
        let elsewhere = format!("{}/{}", at("localhost", server.port()), bench.db.name());
        let job = ["--table", csm::TABLE, "--alter", BIGINT, "--execute"];
        let run =
            |url: &str, args: &[&str]| bench.bare(&[&["--url", url][..], &job, args].concat());
        let client = ["--ssl", "--ssl-cert", certificate, "--ssl-key", key];
        for (url, args, why) in [
            (&url, vec![], "without TLS: Access denied"),
            (&url, vec!["--ssl", "--ssl-ca", ca], "without a client certificate: Access denied"),
            (&url, client.to_vec(), "UnknownIssuer"),
            (&elsewhere, [&client[..], &["--ssl-ca", ca]].concat(), "not valid for name"),
        ] {
            let ended = run(url, &args).ends_with(1);
            assert!(ended.err.contains(why), "{why}: {}", ended.err);
            bench.assert_untouched();
        }
        let missing = run(&url, &["--ssl", "--ssl-ca", "/nowhere/ca"]).ends_with(2);
        assert!(missing.err.contains("cannot be read from /nowhere/ca"), "{}", missing.err);
        let alone = run(&url, &["--ssl-ca", ca]).ends_with(2);
        assert!(alone.err.contains("--ssl"), "{}", alone.err);

        let stream = at("127.0.0.1", replica.port());
        let replica = format!("127.0.0.1:{}", replica.port());
        let all =
            ["--ssl-ca", ca, "--stream-url", &stream, "--throttle-control-replicas", &replica];
        let ended = run(&url, &[&client[..], &all].concat()).ends_with(0);
        assert!(ended.out.contains("is altered: 500 rows"), "{}", ended.out);
        assert!(bench.is_bigint());

        // And with all of it in an option file, in a group of its own.
        let conf = bench.file("my.cnf");
        let text = format!(
            "[client]\nuser=careful\npassword=secret\nhost=127.0.0.1\nport={}\nssl-mode=DISABLED\n\
             [client_prod]\nssl_mode=VERIFY_IDENTITY\nssl_ca={ca}\n\
             loose-ssl-cert='{certificate}'\nssl-key={key}\n",
            server.port()
        );
        fs::write(&conf, text).unwrap();
        let table =
            ["--database", bench.db.name(), "--table", csm::TABLE, "--alter", "ENGINE=InnoDB"];
        let file = ["--conf", path(&conf), "--execute", "--initially-drop-old-table"];
        let args = [&file[..], &table].concat();
        let ended = bench.bare(&args).ends_with(1);
        assert!(
            ended.err.contains("without TLS: Access denied for user 'careful'"),
            "{}",
            ended.err
        );
        bench.bare(&[&args[..], &["--conf-group-suffix", "_prod"]].concat()).ends_with(0);
        fs::remove_dir_all(&bench.dir).unwrap();
    }
}
