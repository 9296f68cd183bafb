//! A run's progress as Prometheus reads it.

use std::fmt::Write as _;
use std::time::Duration;

use super::progress::Progress;

impl Progress {
    /// The figures as text in Prometheus' exposition format, each with the label `table`. Whoever serves them has a
    /// server for that.
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/>
    ///
    /// ```no_run
    /// # fn main() -> Result<(), online_alter::Error> {
    /// # let handle = online_alter::OnlineAlter::new("mysql://db1/app", "t").start()?;
    /// let text = handle.progress().prometheus("app.t");
    /// assert!(text.contains("online_alter_rows_copied_total{table=\"app.t\"} "));
    /// # Ok(())
    /// # }
    /// ```
    pub fn prometheus(&self, table: &str) -> String {
        let label = table.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let mut text = String::new();
        let mut metric = |name: &str, kind: &str, help: &str, value: String| {
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "# HELP online_alter_{name} {help}\n# TYPE online_alter_{name} {kind}\n\
                 online_alter_{name}{{table=\"{label}\"}} {value}\n"
            );
        };
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let mut count = |name: &str, help: &str, value: u64| {
            metric(name, "counter", help, value.to_string());
        };
        count("rows_copied_total", "Rows copied.", self.rows_copied);
        count("keys_changed_total", "Changed keys read from the binlog.", self.keys_changed);
        count("keys_refreshed_total", "Changed keys refreshed.", self.keys_refreshed);
        count("cut_over_attempts_total", "Attempts to cut over.", self.cut_over_attempts.into());
        let throttled = seconds(self.throttled_time);
        metric("throttled_seconds_total", "counter", "Time held back.", throttled);
        let mut gauge = |name: &str, help: &str, value: String| metric(name, "gauge", help, value);
        gauge("rows_estimated", "Rows to copy, estimated.", self.rows_estimated.to_string());
        gauge("rows_verified", "Rows compared in this pass.", self.rows_verified.to_string());
        gauge(
            "copied_ratio",
            "The share of the rows that is copied.",
            self.copied_share().to_string(),
        );
        gauge("chunk_rows", "Rows in a chunk.", self.chunk_rows.to_string());
        gauge("keys_pending", "Changed keys not refreshed yet.", self.keys_pending.to_string());
        gauge("stream_lag_seconds", "How far the stream is behind.", seconds(self.stream_lag));
        let throttled = u8::from(self.throttled.is_some()).to_string();
        gauge("throttled", "Whether the run holds back.", throttled);
        let eta = self.eta().map_or_else(|| "NaN".to_owned(), seconds);
        gauge("eta_seconds", "Time until all rows are copied.", eta);
        gauge("elapsed_seconds", "Time since the run began.", seconds(self.elapsed));
        let _ = write!(
            text,
            "# HELP online_alter_phase The phase of the run.\n# TYPE online_alter_phase gauge\n\
             online_alter_phase{{table=\"{label}\",phase=\"{}\"}} 1\n",
            self.phase
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::control::Control;
    use super::super::postpone::Postpone;
    use crate::throttle::Limits;

    #[test]
    fn each_figure_has_a_name_a_help_a_type_and_a_number() {
        let progress =
            Control::new(None, Postpone::never(), Limits::default(), 1, false, 1000).progress();
        let text = progress.prometheus("a\"p\\p.t");
        let label = "{table=\"a\\\"p\\\\p.t\"";
        let mut names = Vec::new();
        for block in text.split("# HELP ").skip(1) {
            let lines: Vec<&str> = block.lines().collect();
            let [help, kind, value] = lines[..] else { panic!("{block}") };
            let (name, _) = help.split_once(' ').unwrap();
            assert!(
                [format!("# TYPE {name} counter"), format!("# TYPE {name} gauge")]
                    .contains(&kind.to_owned()),
                "{kind}"
            );
            assert_eq!(name.ends_with("_total"), kind.ends_with(" counter"), "{name}");
            let (series, number) = value.rsplit_once(' ').unwrap();
            assert!(series.starts_with(&format!("{name}{label}")), "{series}");
            assert!(number.parse::<f64>().is_ok(), "{value}");
            assert!(!names.contains(&name), "{name}");
            names.push(name);
        }
        assert!(names.contains(&"online_alter_rows_copied_total"));
        assert!(text.contains(&format!("online_alter_rows_estimated{label}}} 1000\n")));
        assert!(text.contains(",phase=\"prepare\"} 1\n"));
    }
}
