//! The results as a chart: a bar for each median, with its spread.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::results::{Line, Measured, Results};

const WIDTH: f64 = 960.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 330.0;
const BAR: f64 = 330.0;
const ROW: f64 = 20.0;
const DETAIL: f64 = 14.0;

pub(crate) fn write(results: &Results, path: &Path) -> Result<()> {
    fs::write(path, svg(results)).with_context(|| format!("cannot write {}", path.display()))
}

fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    text(&mut body, 16.0, y, "title", "courseware_studentmodule: id INT to BIGINT UNSIGNED");
    for case in &results.cases {
        y += 34.0;
        y = draw(&mut body, case, y);
    }
    let height = y + 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" \
         width=\"{WIDTH}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>.title{{font-size:17px;font-weight:bold}}.case{{font-size:14px;font-weight:bold}}\
         .small{{font-size:10px;fill:#666}}.right{{text-anchor:end}}\
         .detail{{font-size:10px;text-anchor:end;fill:#555}}.good{{fill:#1a7f37}}.bad{{fill:#b42318}}\
         </style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Draws a case below `y`, and says where it ends.
fn draw(body: &mut String, case: &Measured, mut y: f64) -> f64 {
    text(body, 16.0, y, "case", &case.title);
    y += 15.0;
    text(body, 16.0, y, "small", &case.settings);
    y += 12.0;
    text(body, 16.0, y, "small", &case.machine);
    y += 6.0;
    for line in &case.lines {
        y += if line.detail { DETAIL } else { ROW };
        // Figures of different units do not share a scale.
        let same = case.lines.iter().filter(|other| other.unit == line.unit);
        let most = same.map(Line::most).fold(f64::MIN_POSITIVE, f64::max);
        bar(body, line, BAR / most, y);
    }
    for verdict in &case.verdicts {
        y += ROW;
        let class = if verdict.reached() { "good" } else { "bad" };
        text(body, 16.0, y, class, &verdict.to_string());
    }
    y
}

fn bar(body: &mut String, line: &Line, scale: f64, y: f64) {
    let class = if line.detail { "detail" } else { "right" };
    text(body, LEFT - 8.0, y, class, &line.name);
    if line.samples.is_empty() {
        let note: String = line.note.chars().take(90).collect();
        text(body, LEFT, y, "small", &note);
        return;
    }
    let ours = line.name.starts_with("online-alter");
    let (height, fill) = match (line.detail, ours) {
        (true, _) => (7.0, "#b9d0ea"),
        (false, true) => (13.0, "#1f6fc5"),
        (false, false) => (13.0, "#9a9a9a"),
    };
    let width = line.median() * scale;
    let middle = y - 4.0;
    let _ = writeln!(
        body,
        "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{fill}\"/>",
        middle - height / 2.0
    );
    let (from, to) = (LEFT + line.least() * scale, LEFT + line.most() * scale);
    if line.samples.len() > 1 {
        let _ = writeln!(
            body,
            "<path d=\"M{from:.1} {middle:.1}H{to:.1}M{from:.1} {:.1}v6M{to:.1} {:.1}v6\" \
             stroke=\"#222\"/>",
            middle - 3.0,
            middle - 3.0
        );
    }
    let class = if line.detail { "small" } else { "" };
    let label = match line.note.as_str() {
        "" => line.figures(),
        note => format!("{}  {note}", line.figures()),
    };
    text(body, LEFT + line.most() * scale + 8.0, y, class, &label);
}

fn text(body: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>");
}
