//! The items of the preflight: what they look at, and what they advise.

use super::{Asks, Platform, PreflightItem, PreflightOutcome};
use crate::db::Flavor;
use crate::inspect::{ServerInfo, Table};

/// How long the binlog should be there at least, should the run fall behind or lose its connection.
const ENOUGH_HOURS: u64 = 24;

/// For how long the server keeps its binlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retention {
    Hours(u64),
    AsSoonAsPossible,
    ForEver,
    Unknown,
}

impl Retention {
    pub(super) fn of_variables(server: &ServerInfo) -> Self {
        let seconds = server.number("binlog_expire_logs_seconds");
        let days = server.text("expire_logs_days").parse::<f64>().unwrap_or(0.0);
        match seconds {
            Some(seconds @ 1..) => Retention::Hours(seconds / 3600),
            // MariaDB keeps both in step.
            _ if days <= 0.0 => Retention::ForEver,
            _ => Retention::Unknown,
        }
    }
}

/// What is judged.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) platform: Platform,
    pub(super) server: &'a ServerInfo,
    pub(super) asks: Asks,
    pub(super) retention: Retention,
}

use Platform::{AmazonRds, Aurora, Azure, CloudSql, Own};
use PreflightOutcome::{ByHand, Passed, Refused, Warning};

impl Facts<'_> {
    pub(super) fn items(&self) -> Vec<PreflightItem> {
        let mut items = Vec::new();
        if self.platform != Own {
            items.extend([self.binlog(), self.format(), self.retention(), self.idle()]);
            if self.platform == Aurora {
                items.extend([self.aurora_reader(), self.aurora_filtering(), self.aurora_yield()]);
            }
            if self.asks.include_triggers {
                items.push(self.trigger_creators());
            }
        }
        if self.asks.kill_blockers && self.server.flavor == Flavor::MySql {
            items.push(self.kill_blockers());
        }
        // What is right on a server that nobody runs for the user is not worth a word.
        items.retain(|item| self.platform != Own || item.outcome != Passed);
        items
    }

    fn item(
        &self,
        code: &'static str,
        outcome: PreflightOutcome,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> PreflightItem {
        let advice = if outcome == Passed { String::new() } else { advice.into() };
        PreflightItem {
            code,
            outcome,
            of_replica: self.asks.as_stream,
            found: found.into(),
            advice,
        }
    }

    fn is_on(&self, variable: &str) -> bool {
        self.server.is(variable, &["ON", "1"])
    }

    fn binlog(&self) -> PreflightItem {
        let outcome = if self.is_on("log_bin") { Passed } else { Refused };
        let found = format!("log_bin={}", self.server.text("log_bin"));
        let advice = match self.platform {
            AmazonRds if self.asks.as_stream => {
                "turn on automated backups of the read replica: aws rds modify-db-instance \
                 --db-instance-identifier .. --backup-retention-period 1 --apply-immediately"
            }
            AmazonRds => {
                "turn on automated backups, without which RDS writes no binlog: aws rds modify-db-instance \
                 --db-instance-identifier .. --backup-retention-period 1 --apply-immediately"
            }
            Aurora => {
                "set binlog_format=ROW in the DB cluster parameter group, and reboot the writer; readers \
                 have no binlog: connect to the cluster endpoint"
            }
            CloudSql => {
                "turn on point-in-time recovery, which restarts the instance: gcloud sql instances patch \
                 INSTANCE --enable-bin-log"
            }
            _ => "turn on the binary log",
        };
        self.item("binlog", outcome, found, advice)
    }

    fn format(&self) -> PreflightItem {
        let format = &self.server.binlog_format;
        let mut found = format!("binlog_format={format}");
        let elsewhere = self.asks.reads_replica && !self.asks.as_stream;
        let outcome = if format == "ROW" || elsewhere { Passed } else { Refused };
        if format != "ROW" && elsewhere {
            found.push_str(", which the run sets to ROW for its own sessions");
        } else if format != "ROW" && self.asks.switch_to_row_format {
            found.push_str(
                ", and switch_to_row_format cannot change it: nobody has SYSTEM_VARIABLES_ADMIN, \
                 SUPER or BINLOG ADMIN here",
            );
        }
        let place = match self.platform {
            AmazonRds => "in the DB parameter group",
            Aurora => "in the DB cluster parameter group, and reboot the writer",
            CloudSql => "by the flag of the instance, if it takes one",
            _ => "among the server parameters",
        };
        let advice = format!(
            "set binlog_format=ROW {place}; sessions that are open keep their format, so let applications \
             connect again"
        );
        self.item("binlog-format", outcome, found, advice)
    }

    fn retention(&self) -> PreflightItem {
        let (outcome, found) = match self.retention {
            // What Azure does at 0.
            Retention::ForEver if self.platform == Azure => (
                Warning,
                "binlog_expire_logs_seconds=0: binlogs go as soon as nobody reads them".to_owned(),
            ),
            Retention::ForEver => (Passed, "binlogs are kept until somebody removes them".to_owned()),
            Retention::AsSoonAsPossible => (
                Warning,
                "'binlog retention hours' is NULL: binlogs go as soon as the service needs them no more"
                    .to_owned(),
            ),
            Retention::Hours(hours) => {
                let outcome = if hours < ENOUGH_HOURS { Warning } else { Passed };
                (outcome, format!("binlogs are kept for {hours} hours"))
            }
            Retention::Unknown => {
                (ByHand, "how long binlogs are kept cannot be read by this user".to_owned())
            }
        };
        let set = match (self.platform, self.retention) {
            (AmazonRds | Aurora, Retention::Unknown) => {
                "CALL mysql.rds_show_configuration, or GRANT SELECT ON mysql.rds_configuration"
            }
            (AmazonRds | Aurora, _) => {
                "CALL mysql.rds_set_configuration('binlog retention hours', 24)"
            }
            (CloudSql, _) => {
                "set the flag binlog_expire_logs_seconds=86400 or more (expire_logs_days=1 is what Cloud SQL \
                 sets)"
            }
            _ => "set the server parameter binlog_expire_logs_seconds=86400 or more",
        };
        let advice = format!(
            "{set}. A run that loses its connection, or is far behind, fails when what it has not read is gone; \
             the table is untouched then"
        );
        self.item("binlog-retention", outcome, found, advice)
    }

    /// Not a matter of settings: the sessions of a run set their own, and TCP keeps them alive.
    fn idle(&self) -> PreflightItem {
        let found = format!(
            "wait_timeout={}, of which the run's sessions have their own (a year), with TCP keepalive every \
             10 s",
            self.server.text("wait_timeout")
        );
        self.item("idle-connections", Passed, found, "")
    }

    fn aurora_reader(&self) -> PreflightItem {
        let (outcome, found) = if self.is_on("innodb_read_only") {
            (
                Refused,
                "this is a reader of the cluster: it shares the writer's storage, and has no binlog",
            )
        } else {
            (Passed, "this is the writer of its cluster")
        };
        let advice = if self.asks.as_stream {
            "read the binlog of the writer, or of the writer of another cluster that replicates from it by \
             binlog"
        } else {
            "connect to the cluster endpoint"
        };
        self.item("aurora-reader", outcome, found, advice)
    }

    fn aurora_filtering(&self) -> PreflightItem {
        let name = "aurora_enable_repl_bin_log_filtering";
        if !self.server.has(name) {
            let found = format!("there is no {name}: version 3 has none");
            return self.item("binlog-filtering", Passed, found, "");
        }
        let found = format!("{name}={}", self.server.text(name));
        let outcome = match (self.is_on(name), self.asks.as_stream) {
            (true, true) => Refused,
            // It is about what the writer sends to its readers.
            _ => Passed,
        };
        let advice = format!("set {name}=0 in the DB cluster parameter group");
        self.item("binlog-filtering", outcome, found, advice)
    }

    fn aurora_yield(&self) -> PreflightItem {
        let name = "aurora_binlog_replication_max_yield_seconds";
        let seconds = self.server.number(name).unwrap_or(0);
        let outcome = if seconds == 0 { Passed } else { Warning };
        let found = format!("{name}={seconds}");
        let advice = "set it to 0 for the time of the run: whoever reads the binlog is held back for so long while \
                      others write, and the cut-over has to see its last change within cut_over_lock_timeout";
        self.item("binlog-yield", outcome, found, advice)
    }

    fn trigger_creators(&self) -> PreflightItem {
        let distrusts = self.server.distrusts_trigger_creators();
        let outcome = if distrusts { Refused } else { Passed };
        let value = if distrusts { "OFF" } else { "ON" };
        let found = format!("log_bin_trust_function_creators={value}");
        let place = match self.platform {
            AmazonRds | Aurora => "in the parameter group",
            CloudSql => "by the flag of the instance",
            _ => "among the server parameters",
        };
        let advice = format!(
            "nobody has SUPER here, which it takes to make triggers then: set \
             log_bin_trust_function_creators=1 {place}"
        );
        self.item("trigger-creators", outcome, found, advice)
    }

    fn kill_blockers(&self) -> PreflightItem {
        let sees = self.is_on("performance_schema");
        let outcome = if sees { Passed } else { Refused };
        let found = format!("performance_schema={}", self.server.text("performance_schema"));
        let place = match self.platform {
            AmazonRds | Aurora => " in the parameter group, and reboot",
            CloudSql => " by the flag of the instance, which restarts it",
            _ => ", and restart the server",
        };
        let advice = format!(
            "kill_blockers finds them there: do without it, or set performance_schema=1{place}"
        );
        self.item("kill-blockers", outcome, found, advice)
    }
}

/// What has to do with the table.
pub(super) fn of_table(
    platform: Platform,
    server: &ServerInfo,
    table: &Table,
) -> Vec<PreflightItem> {
    let facts = Facts { platform, server, asks: Asks::default(), retention: Retention::Unknown };
    let mut items = vec![primary_key(&facts, table.has_primary_key())];
    if platform != Own {
        items.push(storage(&facts, (table.data_bytes + table.index_bytes) >> 20));
    }
    items.retain(|item| platform != Own || item.outcome != Passed);
    items
}

fn primary_key(facts: &Facts<'_>, has_one: bool) -> PreflightItem {
    let required = facts.is_on("sql_require_primary_key");
    let generated = facts.is_on("sql_generate_invisible_primary_key");
    let shown = |on: bool| if on { "ON" } else { "OFF" };
    let found = format!(
        "sql_require_primary_key={}, sql_generate_invisible_primary_key={}, and the table has {} primary key",
        shown(required),
        shown(generated),
        if has_one { "a" } else { "no" }
    );
    // `CREATE TABLE .. LIKE` of a table without one makes none, and is refused where it is required.
    let outcome = if required && !has_one { Refused } else { Passed };
    let advice = "have sql_require_primary_key off for the time of the run, or give the table a primary key first";
    facts.item("primary-key", outcome, found, advice)
}

fn storage(facts: &Facts<'_>, mebibytes: u64) -> PreflightItem {
    let found = format!(
        "the run needs about {mebibytes} MiB for the new table, and as much again for binlogs; what is free \
         SQL does not show"
    );
    let advice = match facts.platform {
        Aurora => return facts.item("storage", Passed, "the cluster's volume grows by itself", ""),
        AmazonRds => {
            "look at the metric FreeStorageSpace, or turn on storage autoscaling (--max-allocated-storage)"
        }
        CloudSql => {
            "look at the metric database/disk/bytes_used, or turn on --storage-auto-increase"
        }
        _ => {
            "look at the metric storage_percent, or turn on storage auto-grow (--auto-grow Enabled)"
        }
    };
    facts.item("storage", ByHand, found, advice)
}

#[cfg(test)]
mod tests;
