//! A server that grants fewer connections than a run needs.

use online_alter::{ErrorKind, TableState};

use super::{ADD, content, each, end_of};
use crate::harness::tables;

/// The server lets the run have fewer connections than it needs, one more each time.
#[test]
fn too_few_connections() {
    each("few_connections", ADD, |case| {
        let user = case.db.name().to_owned();
        let mut failed = 0;
        for most in 1..20 {
            case.sql(&format!("ALTER USER {user} WITH MAX_USER_CONNECTIONS {most}"));
            let ended = end_of(case.alter().retries(2));
            case.assert_no_connection();
            match ended {
                Ok(_) => break,
                Err(error) => {
                    failed += 1;
                    assert_eq!(error.table_state(), TableState::Untouched, "{most}: {error}");
                    let wanted = [ErrorKind::Connection, ErrorKind::CutOver];
                    assert!(wanted.contains(&error.kind()), "{most}: {:?} {error}", error.kind());
                    assert_eq!(error.leftovers(), [], "{most}: {error}");
                    assert_eq!(tables(&mut case.conn), ["t"], "{most}: {error}");
                    assert_eq!(content(&mut case.conn), case.before);
                }
            }
        }
        assert!(failed > 4, "failed {failed} times only");
        case.assert_altered();
    });
}
