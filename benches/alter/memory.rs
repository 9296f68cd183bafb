//! What ten million changed rows take in our memory while they wait.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use online_alter::internals::Backlog;

use crate::output::machine;
use crate::process;
use crate::results::{Line, Measured, Verdict};

const KEYS: u64 = 10_000_000;

/// How the keys come: one after the other, or from all over a table of 64 times as many rows.
const ORDERS: [(&str, u64); 2] = [("in order", 1), ("scattered", 0x9e37_79b9_7f4a_7c15)];

pub(crate) fn run() -> Result<Vec<Measured>> {
    let mut lines = Vec::new();
    let mut most: f64 = 0.0;
    for (name, factor) in ORDERS {
        let out = Command::new(std::env::current_exe()?)
            .args(["--pending", &factor.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(out.status.success(), "the process failed: {}", out.status);
        let mib: f64 = String::from_utf8(out.stdout)?.trim().parse().context("no number")?;
        most = most.max(mib);
        lines.push(Line::new(&format!("RSS with 10 M keys pending, {name}"), "MiB", vec![mib]));
    }
    let verdict = Verdict::at_most("RSS with 10 M distinct keys pending", most, 256.0, "MiB");
    let measured = Measured {
        title: "client: pending keys".to_owned(),
        machine: machine(),
        settings: "no server: the set of pending keys alone".to_owned(),
        lines,
        verdicts: vec![verdict],
    };
    Ok(vec![measured])
}

/// The process that holds them.
pub(crate) fn child(factor: u64) -> Result<()> {
    // A prime above 640 M: an odd factor, taken modulo this, meets no number twice.
    const ROWS: u64 = 640_000_009;
    let keys = Backlog::new(2, usize::MAX);
    for number in 1..=KEYS {
        keys.add(number.wrapping_mul(factor % ROWS) % ROWS);
    }
    ensure!(keys.len() as u64 == KEYS, "{} keys are pending", keys.len());
    writeln!(io::stdout(), "{}", process::peak_mib())?;
    Ok(())
}
