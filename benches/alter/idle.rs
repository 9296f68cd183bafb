//! Nobody else writes: total times, side by side.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use online_alter::Phase;

use crate::cases::measured;
use crate::flags::Flags;
use crate::ours::Took;
use crate::place::Place;
use crate::results::{Line, Measured, Verdict, median};
use crate::{chunk_loop, native, note, ours};

const COPY: &str = "native ALGORITHM=COPY";
const IN_PLACE: &str = "native ALGORITHM=INPLACE";
const REBUILD: &str = "native rebuild (FORCE), INPLACE";
const LOOP: &str = "plain chunk loop, 1000 keys";
const OURS: &str = "online-alter";
const UNVERIFIED: &str = "online-alter, verification off";
const MAINTAINED: &str = "online-alter, indexes maintained";

const NAMES: [&str; 7] = [IN_PLACE, COPY, REBUILD, LOOP, OURS, UNVERIFIED, MAINTAINED];

/// All contenders in turn, so that what the machine does in the course of time meets all of them.
pub(crate) fn run(flags: &Flags, place: &Place, title: &str, bar: f64) -> Result<Vec<Measured>> {
    let wanted = |name: &&str| {
        flags.only.is_empty() || flags.only.iter().any(|text| name.contains(text.as_str()))
    };
    let names: Vec<&str> = NAMES.into_iter().filter(wanted).collect();
    let mut lines: Vec<Line> = names.iter().map(|name| line(name)).collect();
    let mut runs: HashMap<&str, Vec<Took>> = HashMap::new();
    let mut ours = |name: &'static str, verify, maintain| -> Result<f64> {
        let took = ours::alter(place, verify, maintain)?;
        let seconds = took.seconds;
        runs.entry(name).or_default().push(took);
        Ok(seconds)
    };
    let mut ready = None;
    for run in 0..flags.runs {
        for line in &mut lines {
            if run > 0 && line.samples.is_empty() {
                continue;
            }
            let began = Instant::now();
            let lock = match ready.take() {
                Some(lock) => lock,
                None => place.fresh()?,
            };
            log::info!("a fresh table took {:?}", began.elapsed());
            let seconds = match line.name.as_str() {
                COPY => native::copy(place)?.as_secs_f64(),
                REBUILD => native::rebuild(place)?.as_secs_f64(),
                LOOP => chunk_loop::alter(place)?.as_secs_f64(),
                IN_PLACE => {
                    let why = native::refuses_in_place(place)?;
                    // Then the table is as it was.
                    ready = why.is_some().then_some(lock);
                    line.note = why.unwrap_or_else(|| "the server does it".to_owned());
                    continue;
                }
                OURS => ours(OURS, true, false)?,
                UNVERIFIED => ours(UNVERIFIED, false, false)?,
                _ => ours(MAINTAINED, true, true)?,
            };
            drop(lock);
            note(format_args!("  run {}: {} {seconds:.2} s", run + 1, line.name));
            line.samples.push(seconds);
            if line.name != REBUILD {
                place.judge()?;
            }
        }
    }
    let mut all = Vec::new();
    let mut verdicts = Vec::new();
    let total = |name: &str| {
        lines
            .iter()
            .find(|line| line.name == name)
            .filter(|line| !line.samples.is_empty())
            .map(Line::median)
    };
    if let Some((ours, copy)) = total(OURS).zip(total(COPY)) {
        verdicts.push(Verdict::at_most("online-alter / native COPY", ours / copy, bar, "\u{d7}"));
    }
    if let Some((ours, copy)) = total(UNVERIFIED).zip(total(COPY)) {
        verdicts.push(Verdict::at_most(
            "verification off / native COPY",
            ours / copy,
            bar,
            "\u{d7}",
        ));
    }
    for line in lines.iter().cloned() {
        let details = runs.get(line.name.as_str()).map(|runs| phases(runs)).unwrap_or_default();
        all.push(line);
        all.extend(details);
    }
    let mut cases = vec![measured(place, title, all, verdicts)];
    if let Some(verified) = runs.get(OURS) {
        cases.push(client(place, title, verified));
        cases.push(verification(place, title, verified));
    }
    Ok(cases)
}

/// The line of a contender, with what is not the same work.
fn line(name: &str) -> Line {
    let note = match name {
        REBUILD => "not this ALTER",
        LOOP => "blind to changes; old table kept",
        OURS | UNVERIFIED | MAINTAINED => "old table kept",
        _ => "",
    };
    Line::new(name, "s", Vec::new()).noted(note)
}

/// The phases that took more than nothing.
fn phases(runs: &[Took]) -> Vec<Line> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let line = |name: &String| {
        let of = |took: &Took| {
            took.phases.iter().filter(|(other, _)| other == name).map(|(_, seconds)| seconds).sum()
        };
        Line::new(name, "s", runs.iter().map(of).collect()).detail()
    };
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in &first.phases {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(line).filter(|line| line.most() >= 0.005).collect()
}

/// What the library's own process needs.
fn client(place: &Place, title: &str, runs: &[Took]) -> Measured {
    let copying = |took: &Took| 100.0 * took.copy_cpu_seconds / took.phase(Phase::Copy);
    let cpu = runs.iter().map(copying).collect::<Vec<_>>();
    let memory = runs.iter().map(|took| took.peak_mib).collect::<Vec<_>>();
    let verdicts = vec![
        Verdict::at_most("CPU during the copy", median(&cpu), 10.0, "% of a core"),
        Verdict::at_most("peak RSS", median(&memory), 64.0, "MiB"),
    ];
    let lines = vec![
        Line::new("CPU during the copy", "% of a core", cpu),
        Line::new("peak RSS of the process", "MiB", memory),
    ];
    measured(place, &format!("client: {title}"), lines, verdicts)
}

/// Verification goes on beside the index build, so its own time is taken, and the copy's to the end of that.
fn verification(place: &Place, title: &str, runs: &[Took]) -> Measured {
    let copied = |took: &Took| took.phase(Phase::Copy) + took.phase(Phase::BuildIndexes);
    let part = |took: &Took| 100.0 * took.verified_seconds / copied(took);
    let parts: Vec<f64> = runs.iter().map(part).collect();
    let bar = Verdict::at_most("verification / (copy + index build)", median(&parts), 25.0, "%");
    let of_rows = |took: &Took| 100.0 * took.verified_seconds / took.phase(Phase::Copy);
    let lines = vec![
        Line::new("verification", "s", runs.iter().map(|took| took.verified_seconds).collect()),
        Line::new("verification / (copy + index build)", "%", parts),
        Line::new("verification / copy of the rows", "%", runs.iter().map(of_rows).collect()),
    ];
    measured(place, &format!("verification: {title}"), lines, vec![bar])
}
