//! What was measured, and the file that it is kept in.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// All cases that were ever measured into this file, each one the last time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) cases: Vec<Measured>,
}

/// A case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) title: String,
    pub(crate) machine: String,
    pub(crate) settings: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) verdicts: Vec<Verdict>,
}

/// One figure, as often as it was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) unit: String,
    /// In order. None: it cannot be had, and the note says why.
    pub(crate) samples: Vec<f64>,
    pub(crate) note: String,
    /// A part of the line before it.
    pub(crate) detail: bool,
}

/// What was to be reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) bar: f64,
    /// The value must not be below the bar, instead of not above it.
    pub(crate) at_least: bool,
    pub(crate) unit: String,
}

impl Verdict {
    pub(crate) fn at_most(what: &str, value: f64, bar: f64, unit: &str) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Verdict { what, value, bar, at_least: false, unit }
    }

    pub(crate) fn at_least(what: &str, value: f64, bar: f64, unit: &str) -> Self {
        Verdict { at_least: true, ..Verdict::at_most(what, value, bar, unit) }
    }

    pub(crate) fn reached(&self) -> bool {
        if self.at_least { self.value >= self.bar } else { self.value <= self.bar }
    }
}

impl Line {
    pub(crate) fn new(name: &str, unit: &str, samples: Vec<f64>) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Line { name, unit, samples, note: String::new(), detail: false }
    }

    pub(crate) fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    pub(crate) fn detail(mut self) -> Self {
        self.detail = true;
        self
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.samples)
    }

    pub(crate) fn least(&self) -> f64 {
        self.samples.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn most(&self) -> f64 {
        self.samples.iter().copied().fold(0.0, f64::max)
    }
}

pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(upper), 0) => (upper + sorted.get(middle - 1).unwrap_or(upper)) / 2.0,
        (Some(middle), _) => *middle,
        (None, _) => f64::NAN,
    }
}

impl Results {
    /// The file's; none if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is not ours", path.display())),
            Err(_) => Ok(Results::default()),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, serde_json::to_string_pretty(self)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Puts a case where its older self is.
    pub(crate) fn put(&mut self, measured: Measured) {
        match self.cases.iter_mut().find(|case| case.title == measured.title) {
            Some(case) => *case = measured,
            None => self.cases.push(measured),
        }
    }
}
