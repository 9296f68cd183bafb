//! Passwords are not shown, neither by errors nor by anything else that is printed.

use online_alter::{ErrorKind, OnlineAlter, Phase, Postpone};

use super::{PASSWORD, User, all_text, alone, is, plain_table, refused};

#[test]
fn a_wrong_password_is_not_shown() {
    alone("refuse_password", |server, db| {
        plain_table(db);
        let wrong = "0pen-5esame";
        let url = format!("mysql://root:{wrong}@127.0.0.1:{}/{}", server.port(), db.name());
        let alter = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT");
        assert!(!format!("{alter:?} {alter:#?}").contains(wrong));
        let error = refused(server, db, alter);
        is(&error, ErrorKind::AccessDenied, &["root"]);
        assert!(!all_text(&error).contains(wrong), "{error:?}");
    });
}

#[test]
fn a_right_password_is_not_shown() {
    alone("hide_password", |server, db| {
        plain_table(db);
        let user = User::new(server, db, "hider");
        user.grant_all_needed();
        let alter = user.alter("t").postpone_cut_over(Postpone::until_released());
        assert!(!format!("{alter:?} {alter:#?}").contains(PASSWORD));
        let plan = alter.plan().unwrap();
        assert!(!format!("{plan} {plan:?} {plan:#?}").contains(PASSWORD), "{plan:?}");
        let handle = plan.start().unwrap();
        assert!(!format!("{handle:?} {:?}", handle.progress()).contains(PASSWORD), "{handle:?}");
        handle.abort();
        let error = handle.join().unwrap_err();
        assert!(!all_text(&error).contains(PASSWORD), "{error:?}");
    });
}

#[test]
fn a_malformed_url_is_not_shown() {
    for url in [
        "mysql://root:hush-hush@127.0.0.1:port/db",
        "postgres://root:hush-hush@127.0.0.1/db",
        "root:hush-hush@127.0.0.1/db",
        "mysql://root:hush-hush@127.0.0.1/db?colour=hush-hush",
        "mysql://root:hush-hush@127.0.0.1/db?tcp_connect_timeout_ms=hush-hush",
        "mysql://root:hush-hush@[::1/db",
    ] {
        let alter = OnlineAlter::new(url, "t").alter("ADD COLUMN c INT");
        assert!(!format!("{alter:?}").contains("hush-hush"), "{alter:?}");
        let error = alter.plan().unwrap_err();
        is(&error, ErrorKind::Config, &["URL"]);
        assert_eq!(error.phase(), Phase::Plan);
        assert!(!all_text(&error).contains("hush-hush"), "{url}: {error:?}");
    }
}
