//! How it ended: exit codes, and what is said of errors.

use std::error::Error as _;
use std::process::ExitCode;

use online_alter::mysql;
use online_alter::{Error, ErrorKind, Leftover, Obstacle, ObstacleKind, Phase, Report, TableState};

use crate::common::warn;

/// Why the tool ends without an altered table, or with one that needs a person.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line cannot be used.
    Usage(String),
    /// The tool itself refuses, before it has done anything.
    Refused(String),
    /// The library does, or the run failed.
    Run(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Run(error)
    }
}

pub(crate) const DONE: u8 = 0;
const FAILED: u8 = 1;
const USAGE: u8 = 2;
const NEEDS_A_PERSON: u8 = 3;

impl Failure {
    /// Says what is wrong, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Failure::Usage(why) => {
                warn(format_args!("error: {why}\n\nFor more information, try '--help'."));
            }
            Failure::Refused(why) => warn(format_args!("error: {why}")),
            Failure::Run(error) => {
                for line in lines(error).into_iter().chain(statements(error.obstacles())) {
                    warn(line);
                }
            }
        }
        self.code().into()
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => USAGE,
            Failure::Refused(_) => FAILED,
            Failure::Run(error) if error.table_state() != TableState::Untouched => NEEDS_A_PERSON,
            Failure::Run(error) => match (error.kind(), error.phase()) {
                (ErrorKind::Config, Phase::Plan) => USAGE,
                _ => code_of_leftovers(error.leftovers()),
            },
        }
    }
}

/// The exit code of a run that failed with the table as it was: a replica that stands still is nothing to leave alone.
fn code_of_leftovers(leftovers: &[Leftover]) -> u8 {
    let stands = |left: &Leftover| matches!(left, Leftover::StoppedReplication(_));
    if leftovers.iter().any(stands) { NEEDS_A_PERSON } else { FAILED }
}

/// The exit code of a run that went well.
pub(crate) fn code_of(report: &Report) -> u8 {
    if report.conflicting_keys.is_empty() { DONE } else { NEEDS_A_PERSON }
}

/// The statements that remove and restore what stands in the way, for the server's own client.
fn statements(obstacles: &[Obstacle]) -> Vec<String> {
    if obstacles.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["-- to remove them:".to_owned()];
    lines.extend(obstacles.iter().map(|obstacle| format!("{};", obstacle.remove)));
    lines.push("-- to restore them:".to_owned());
    for obstacle in obstacles {
        if obstacle.kind == ObstacleKind::Trigger {
            // There are semicolons in it.
            lines.push("DELIMITER //".to_owned());
            lines.extend(obstacle.restore.iter().map(|statement| format!("{statement}//")));
            lines.push("DELIMITER ;".to_owned());
        } else {
            lines.extend(obstacle.restore.iter().map(|statement| format!("{statement};")));
        }
    }
    lines
}

/// The error with its kind; then of its causes what it does not say itself.
fn lines(error: &Error) -> Vec<String> {
    let code = error.server_code().map_or(String::new(), |code| format!(", server error {code}"));
    let mut lines = vec![format!("error ({:?}{code}): {error}", error.kind())];
    let mut cause = error.source();
    while let Some(error) = cause {
        // Around the server's message there are only its code and the name of the type.
        let text = match error.downcast_ref::<mysql::Error>() {
            Some(mysql::Error::MySqlError(error)) => error.message.clone(),
            _ => error.to_string(),
        };
        if !lines.iter().any(|line| line.contains(&text)) {
            lines.push(format!("  caused by: {text}"));
        }
        cause = error.source();
    }
    if error.table_state() != TableState::Untouched {
        lines.push(
            "  a person has to look at the table before anything else is done to it".to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replication_that_stands_still_needs_a_person() {
        let table = Leftover::Table("`a`.`_t_gho`".to_owned());
        let stopped = Leftover::StoppedReplication("START REPLICA".to_owned());
        assert_eq!(code_of_leftovers(&[]), FAILED);
        assert_eq!(code_of_leftovers(std::slice::from_ref(&table)), FAILED);
        assert_eq!(code_of_leftovers(&[table, stopped]), NEEDS_A_PERSON);
    }
}
