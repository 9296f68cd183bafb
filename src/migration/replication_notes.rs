//! What a test on a replica writes down in its record before it stops replication, so that whoever finds the record of one
//! that died knows what to start again.

use crate::sql::literal;

const STOPPING: &str = "stopping replication ";
pub(super) const STARTED: &str = "replication was started again";
pub(super) const LEFT_STOPPED: &str = "replication is left stopped";

/// To be noted before the channel is stopped.
pub(super) fn stopping(channel: &str) -> String {
    format!("{STOPPING}{}", literal::text(channel))
}

/// Whether a record says that replication was stopped, and not that it was started again, or left so on purpose.
pub(crate) fn has_stopped(record: &str) -> bool {
    let has = |what: &str| record.contains(&format!("\nstage {what}"));
    has(STOPPING) && !has(STARTED) && !has(LEFT_STOPPED)
}

/// Whether it names this channel. What to run is never taken from a record, which others can write to.
pub(crate) fn has_stopped_channel(record: &str, channel: &str) -> bool {
    record.contains(&format!("\nstage {}\n", stopping(channel)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_stopped() {
        let record = format!("alter ..\nstage {}\n", stopping("a'b"));
        assert!(has_stopped(&record) && has_stopped_channel(&record, "a'b"));
        assert!(!has_stopped_channel(&record, "") && !has_stopped("alter ..\n"));
        for ended in [STARTED, LEFT_STOPPED] {
            assert!(!has_stopped(&format!("{record}stage {ended}\n")), "{ended}");
        }
    }
}
