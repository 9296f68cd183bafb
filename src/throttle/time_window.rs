//! Throttling by the time of day.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// Minutes of a day.
const DAY: i64 = 24 * 60;

/// A time of the day in which the run may go on; outside of it, it holds back. It may span midnight.
///
/// Written as `22:00-06:00`, in UTC, or with the distance from it: `22:00-06:00+02:00`. By this machine's clock. The
/// end is the first minute that is outside.
///
/// ```
/// use online_alter::throttle::TimeWindow;
///
/// let night: TimeWindow = "22:00-06:00+02:00".parse()?;
/// assert_eq!(night.to_string(), "22:00-06:00+02:00");
/// # Ok::<(), online_alter::throttle::ParseTimeWindowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// In minutes of the day, where the clock shows UTC and the offset.
    from: i64,
    to: i64,
    offset: i64,
}

impl TimeWindow {
    /// Whether it is now.
    pub fn is_open(&self) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.holds(i64::try_from(now.as_secs() / 60).unwrap_or(0))
    }

    /// `minutes` since the epoch.
    fn holds(&self, minutes: i64) -> bool {
        let now = (minutes + self.offset).rem_euclid(DAY);
        let length = (self.to - self.from).rem_euclid(DAY);
        (now - self.from).rem_euclid(DAY) < length
    }
}

/// A text that is not of the form `22:00-06:00` or `22:00-06:00+02:00`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of day of the form 22:00-06:00 or 22:00-06:00+02:00")]
pub struct ParseTimeWindowError(String);

impl FromStr for TimeWindow {
    type Err = ParseTimeWindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseTimeWindowError(text.to_owned());
        let (from, rest) = text.trim().split_once('-').ok_or_else(wrong)?;
        let (to, offset) = match rest.find(['+', '-']) {
            Some(at) => {
                let (to, offset) = rest.split_at(at);
                let (sign, offset) = offset.split_at(1);
                let offset = minutes(offset).ok_or_else(wrong)?;
                (to, if sign == "-" { -offset } else { offset })
            }
            None => (rest, 0),
        };
        let window = TimeWindow {
            from: minutes(from).ok_or_else(wrong)?,
            to: minutes(to).ok_or_else(wrong)?,
            offset,
        };
        // It would be either always or never.
        if window.from == window.to { Err(wrong()) } else { Ok(window) }
    }
}

/// `hh:mm`
fn minutes(text: &str) -> Option<i64> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, end: i64| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse::<i64>().ok()).flatten();
        number.filter(|number| *number < end)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        write!(f, "{}-{}", clock(self.from), clock(self.to))?;
        match self.offset {
            0 => Ok(()),
            offset if offset < 0 => write!(f, "-{}", clock(-offset)),
            offset => write!(f, "+{}", clock(offset)),
        }
    }
}

impl ThrottlePolicy for TimeWindow {
    fn check(&mut self, _: &mut dyn Signals) -> Verdict {
        if self.is_open() { Verdict::Proceed } else { Verdict::Wait(format!("outside of {self}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(window: &str, at: &str) -> bool {
        let window: TimeWindow = window.parse().unwrap();
        window.holds(20_000 * DAY + minutes(at).unwrap())
    }

    #[test]
    fn begins_and_ends_by_the_minute() {
        for (window, inside, outside) in [
            ("08:00-09:30", ["08:00", "09:29"], ["07:59", "09:30"]),
            ("22:00-06:00", ["22:00", "05:59"], ["06:00", "21:59"]),
            ("22:00-06:00", ["23:59", "00:00"], ["12:00", "18:00"]),
            ("22:00-06:00+02:00", ["20:00", "03:59"], ["19:59", "04:00"]),
            ("22:00-06:00-01:30", ["23:30", "07:29"], ["23:29", "07:30"]),
        ] {
            assert!(inside.iter().all(|at| holds(window, at)), "{window}");
            assert!(!outside.iter().any(|at| holds(window, at)), "{window}");
        }
    }

    #[test]
    fn what_is_no_window() {
        for bad in [
            "",
            "22:00",
            "22-06",
            "24:00-01:00",
            "08:60-09:00",
            "8:00-9:00",
            "08:00-08:00",
            "08:00-09:00+2",
            "08:00-09:00Z",
            "-08:00-09:00",
            "\u{664}2:00-06:00",
        ] {
            assert!(bad.parse::<TimeWindow>().is_err(), "{bad}");
        }
    }
}
