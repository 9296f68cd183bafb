//! Far more changes than may be pending, while the cut-over is postponed.

use online_alter::{ChunkSize, Handle, Phase, Postpone};

use super::{create, exec};
use crate::harness::{on_each, wait_until};

const MOST: u64 = 5_000;
const ROWS: u64 = 100_000;

/// As many keys as are allowed wait, and those that workers had taken, whatever comes. The rest waits at the server.
#[track_caller]
fn assert_bounded(handle: &Handle) -> u64 {
    let pending = handle.progress().keys_pending;
    assert!(pending <= MOST + 2 * 1_000, "{pending} keys are pending");
    pending
}

#[test]
fn what_is_pending_stays_bounded() {
    on_each("fault_pending", |server, db| {
        let (mut conn, run) = create(server, db);
        let more = ROWS - super::ROWS;
        let sql =
            format!("INSERT INTO t (v, pad) SELECT a.id, 'z' FROM t a, t b, t c LIMIT {more}");
        exec(&mut conn, &sql);
        let handle = run
            .chunk_size(ChunkSize::Rows(10_000))
            .max_pending_keys(usize::try_from(MOST).unwrap())
            .postpone_cut_over(Postpone::until_released())
            .verify(false)
            .start()
            .unwrap();
        wait_until("it is postponed", || {
            handle.is_finished() || handle.progress().phase == Phase::Postponed
        });

        // Nothing is refreshed, so the stream comes to a halt.
        handle.pause();
        exec(&mut conn, "UPDATE t SET v = v + 1");
        wait_until("there is no more room", || assert_bounded(&handle) >= MOST);
        let read = handle.progress().keys_changed;
        assert!(read < ROWS, "{read} keys have been read");

        // Half a million changes come while all is refreshed as fast as it can be.
        handle.resume();
        let writer = std::thread::spawn({
            let mut conn = db.conn();
            move || {
                for _ in 0..4 {
                    exec(&mut conn, "UPDATE t SET v = v + 1");
                }
            }
        });
        wait_until("all have come through", || {
            assert_bounded(&handle);
            handle.is_finished() || handle.progress().keys_changed >= 5 * ROWS
        });
        writer.join().unwrap();
        handle.cut_over();
        handle.join().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(super::sums(&mut conn, "t WHERE c = 7"), super::sums(&mut conn, "_t_del"));
    });
}
