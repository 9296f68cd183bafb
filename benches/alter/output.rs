//! The results as text.

use std::fmt::{self, Write as _};

use crate::results::{Line, Measured, Verdict};

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{}\n  {}\n  {}", self.title, self.settings, self.machine)?;
        for line in &self.lines {
            writeln!(f, "  {line}")?;
        }
        for verdict in &self.verdicts {
            writeln!(f, "  {verdict}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{}{}", if self.detail { "  " } else { "" }, self.name);
        write!(f, "{name:<46}{:>24}", self.figures())?;
        if !self.note.is_empty() {
            write!(f, "  {}", self.note)?;
        }
        Ok(())
    }
}

impl Line {
    /// The median and the spread.
    pub(crate) fn figures(&self) -> String {
        let mut text = match self.samples.len() {
            0 => return "-".to_owned(),
            _ => format!("{} {}", short(self.median()), self.unit),
        };
        if self.samples.len() > 1 {
            let _ = write!(text, " [{}\u{2013}{}]", short(self.least()), short(self.most()));
        }
        text
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { '\u{2265}' } else { '\u{2264}' };
        let verdict = if self.reached() { "reached" } else { "MISSED" };
        let unit = &self.unit;
        let value = format!("{} {unit}", short(self.value));
        write!(
            f,
            "= {:<44}{value:>24}  bar {sign} {} {unit}: {verdict}",
            self.what,
            short(self.bar)
        )
    }
}

/// Three digits or so.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Cores, processor, memory, kernel.
pub(crate) fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let model = field(&read("/proc/cpuinfo"), "model name").unwrap_or_default();
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let kib: f64 = memory.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0.0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} cores ({model}), {:.0} GiB, Linux {}, shared by server, writers and client",
        kib / f64::from(1 << 20),
        kernel.trim()
    )
}
