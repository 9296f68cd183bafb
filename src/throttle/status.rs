//! Throttling by status variables of the server, such as `Threads_running`.

use std::fmt;
use std::str::FromStr;

use super::policy::{SignalError, Signals, ThrottlePolicy, Verdict};

/// Holds back while any of the named status variables is at or above its limit.
///
/// ```
/// use online_alter::throttle::StatusLimits;
///
/// let limits: StatusLimits = "Threads_running=25,Threads_connected=500".parse()?;
/// assert_eq!(limits, StatusLimits::new().limit("Threads_running", 25).limit("Threads_connected", 500));
/// # Ok::<(), online_alter::throttle::ParseStatusLimitsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusLimits(Vec<(String, u64)>);

impl StatusLimits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a limit: the run holds back while `SHOW GLOBAL STATUS` shows `at_least` or more.
    #[must_use]
    pub fn limit(mut self, variable: impl Into<String>, at_least: u64) -> Self {
        self.0.push((variable.into(), at_least));
        self
    }
}

/// A text that is not a list of `Variable=limit`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not of the form Status_variable=limit")]
pub struct ParseStatusLimitsError(String);

impl FromStr for StatusLimits {
    type Err = ParseStatusLimitsError;

    /// Reads gh-ost's `--max-load` format: `Threads_running=25,Threads_connected=500`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |item: &str| ParseStatusLimitsError(item.to_owned());
        let mut limits = StatusLimits::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, limit) = item.split_once('=').ok_or_else(|| wrong(item))?;
            let name = name.trim();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(is_word) {
                return Err(wrong(item));
            }
            limits = limits.limit(name, limit.trim().parse().map_err(|_| wrong(item))?);
        }
        Ok(limits)
    }
}

impl StatusLimits {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first variable at or above its limit, with both figures.
    pub(super) fn exceeded(
        &self,
        signals: &mut dyn Signals,
    ) -> Result<Option<String>, SignalError> {
        for (name, limit) in &self.0 {
            let value = signals.status(name)?;
            if value >= *limit {
                return Ok(Some(format!("{name}={value} >= {limit}")));
            }
        }
        Ok(None)
    }
}

/// In the form in which it is read.
impl fmt::Display for StatusLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, limit)) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma}{name}={limit}")?;
        }
        Ok(())
    }
}

impl ThrottlePolicy for StatusLimits {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        match self.exceeded(signals) {
            Ok(None) => Verdict::Proceed,
            Ok(Some(load)) => Verdict::Wait(format!("max-load {load}")),
            Err(error) => Verdict::Wait(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::Everything;
    use super::*;

    #[test]
    fn limits_hold_from_the_limit_on_and_fail_closed() {
        let mut limits: StatusLimits = "Threads_running=25".parse().unwrap();
        assert_eq!(limits.to_string(), "Threads_running=25");
        assert_eq!(limits.check(&mut Everything::with(Ok(24))), Verdict::Proceed);
        assert_eq!(
            limits.check(&mut Everything::with(Ok(25))),
            Verdict::Wait("max-load Threads_running=25 >= 25".into())
        );
        let gone = SignalError { what: "Threads_running".into(), why: "gone".into() };
        assert!(matches!(limits.check(&mut Everything::with(Err(gone))), Verdict::Wait(_)));
    }

    #[test]
    fn refuses_what_is_not_a_limit() {
        for bad in ["Threads_running", "a b=1", "=1", "x=-1", "x=1;drop=2"] {
            assert!(bad.parse::<StatusLimits>().is_err(), "{bad}");
        }
        assert_eq!("".parse(), Ok(StatusLimits::new()));
    }
}
