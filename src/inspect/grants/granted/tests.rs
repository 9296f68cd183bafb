use super::Precedence::{Any, Characters, FirstWildcard, Literal};
use super::*;

/// As `lines` of `SHOW GRANTS` say it.
pub(in crate::inspect::grants) fn granted(lines: &[&str]) -> Granted {
    Granted {
        list: lines.iter().filter_map(|line| Grant::parse(line)).collect(),
        precedence: FirstWildcard,
        ignores_case: false,
        super_is_all: false,
    }
}

fn on(schema: &str) -> On {
    On::Table(TableName::new(Ident::new(schema), Ident::new("t")))
}

#[test]
fn names_are_patterns() {
    assert!(matches_pattern("my\\_db", "my_db"));
    assert!(!matches_pattern("my\\_db", "myxdb"));
    assert!(matches_pattern("my_db", "myxdb"));
    assert!(matches_pattern("%", ""));
    assert!(matches_pattern("a%c", "abbc"));
    assert!(!matches_pattern("a%c", "abcd"));
}

#[test]
fn of_several_patterns_one_counts() {
    let lines = [
        "GRANT DELETE ON `app%`.* TO `u`@`%`",
        "GRANT INSERT ON `app\\_%`.* TO `u`@`%`",
        "GRANT UPDATE ON `app_x`.* TO `u`@`%`",
        "GRANT SELECT ON `%`.* TO `r`",
    ];
    let mut granted = granted(&lines);
    let has = |granted: &Granted| -> Vec<&str> {
        let all = ["DELETE", "INSERT", "UPDATE", "SELECT"];
        all.into_iter().filter(|p| granted.has(p, &on("app_x"))).collect()
    };
    assert_eq!(has(&granted), ["INSERT", "SELECT"]);
    assert_eq!(granted.target(&Ident::new("app_x")), "`app\\_%`.*");
    assert_eq!(granted.target(&Ident::new("o_x")), "`o\\_x`.*");
    granted.precedence = Characters;
    assert_eq!(has(&granted), ["UPDATE", "SELECT"]);
    granted.precedence = Any;
    assert_eq!(has(&granted), ["SELECT"]);
    granted.precedence = Literal;
    assert_eq!(has(&granted), ["UPDATE"]);
    assert_eq!(granted.target(&Ident::new("o_x")), "`o_x`.*");
}

#[test]
fn the_name_itself_comes_first() {
    let lines = ["GRANT DELETE ON `%`.* TO `u`@`%`", "GRANT INSERT ON `app`.* TO `u`@`%`"];
    let mut granted = granted(&lines);
    for precedence in [Any, Characters, FirstWildcard, Literal] {
        granted.precedence = precedence;
        assert!(granted.has("INSERT", &on("app")), "{precedence:?}");
        assert!(!granted.has("DELETE", &on("app")), "{precedence:?}");
    }
}

#[test]
fn partial_revokes_take_from_the_server_only() {
    let all = "GRANT ALL PRIVILEGES ON *.* TO `u`@`%`";
    let revoke = "REVOKE INSERT ON `my_db`.* FROM `u`@`%`";
    let table = "GRANT INSERT ON `my_db`.`t` TO `u`@`%`";
    assert!(!granted(&[all, revoke]).has("INSERT", &on("my_db")));
    assert!(granted(&[all, revoke]).has("DELETE", &on("my_db")));
    assert!(granted(&[all, revoke]).has("INSERT", &on("other")));
    assert!(granted(&[all, "REVOKE INSERT ON `my%`.* FROM u"]).has("INSERT", &on("my_db")));
    assert!(granted(&[all, revoke, table]).has("INSERT", &on("my_db")));
}

#[test]
fn super_was_much_more_once() {
    let mut granted = granted(&["GRANT SUPER ON *.* TO `u`@`%`"]);
    assert!(!granted.has("BINLOG ADMIN", &On::Server));
    granted.super_is_all = true;
    assert!(granted.has("BINLOG ADMIN", &On::Server));
    assert!(!granted.has("REPLICATION MASTER ADMIN", &On::Server));
}
