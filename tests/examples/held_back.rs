//! What holds a run back, or ends it, one flag at a time.

use std::time::SystemTime;

use crate::harness::{on_each, path};

/// A minute of the day that is half a day away.
fn closed() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let hour = (now.as_secs() / 3600 + 12) % 24;
    format!("{hour:02}:30-{hour:02}:31")
}

#[test]
fn flags_that_hold_a_run_back() {
    on_each("example_held", 100, |bench| {
        let closed = closed();
        let outside = format!("throttled, outside of {closed}");
        for (args, text) in [
            (["--throttle-query", "SELECT 1"], "throttled, throttle-query"),
            (["--max-history", "0"], ">= 0"),
            (["--window", &closed], outside.as_str()),
            (["--cut-over-window", &closed], "State: postponing cut-over"),
        ] {
            let run = bench.alter(&[&["--execute"][..], &args].concat());
            run.wait_for(text);
            assert!(!bench.is_bigint(), "{text}");
            run.signal("-INT");
            run.ends_with(1);
            bench.assert_untouched();
        }
        // Several connections are always running: the tool's own.
        let args = ["--execute", "--critical-load", "Threads_connected=1"];
        let ended = bench.alter(&args).ends_with(1);
        assert!(ended.err.contains("critical-load Threads_connected="), "{}", ended.err);
        bench.assert_untouched();
        // None of them does.
        let [file, panic] = [bench.file("none"), bench.file("panic")];
        let all = ["--execute", "--throttle-query", "SELECT 0", "--max-history", "999999999"];
        let more = ["--window", "00:00-23:59", "--critical-load", "Threads_connected=99999"];
        let files = ["--throttle-flag-file", path(&file), "--panic-flag-file", path(&panic)];
        bench.alter(&[&all[..], &more, &files].concat()).ends_with(0);
        assert!(bench.is_bigint());
    });
}
