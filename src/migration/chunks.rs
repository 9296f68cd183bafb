//! Going through the table in chunks, with several workers side by side.

use std::time::Instant;

use super::control::Control;
use super::crew::Crew;
use crate::copy::chunk::Chunk;
use crate::copy::chunk_size::Sizer;
use crate::copy::chunker::Chunker;
use crate::copy::crowd::Crowd;
use crate::db::Session;
use crate::error::Result;

/// Cuts chunks on `session` and has each one worked on by one of the `workers`, as many of them at a
/// time as help. Of each chunk comes out how many rows it had, and what is handed to `finished` on this
/// thread, in the order in which it comes.
pub(crate) fn in_chunks<T: Send>(
    control: &Control,
    mut chunker: Chunker,
    sizer: &Sizer,
    session: &mut Session,
    workers: &mut [Session],
    work: impl Fn(&Chunk, &mut Session) -> Result<(u64, T)> + Sync,
    mut finished: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let cancel = &control.cancel;
    let crowd = &Crowd::new(workers.len(), control.copy_workers(), control.others_write());
    sizer.begin();
    std::thread::scope(|scope| {
        let crew = Crew { scope, control };
        // One chunk waits for each worker, so that none waits for its boundary to be found.
        let (todo, todo_of_workers) = crossbeam_channel::bounded(workers.len());
        let (done_of_worker, done) = crossbeam_channel::bounded(workers.len());
        for (number, session) in workers.iter_mut().enumerate() {
            let (todo, done) = (todo_of_workers.clone(), done_of_worker.clone());
            let work = &work;
            crew.spawn("chunk", move || {
                loop {
                    crowd.enter(number, cancel)?;
                    let Ok(chunk) = todo.recv() else { return Ok(()) };
                    control.gate.pass(cancel)?;
                    let began = Instant::now();
                    let (rows, result) = work(&chunk, session)?;
                    sizer.learn_of(&chunk, rows, began.elapsed(), !control.others_write());
                    let time = began.elapsed();
                    crowd.finished(rows, control.writers_are_calm(), control.copy_workers());
                    if done.send(result).is_err() {
                        return Ok(());
                    }
                    control.rest(time)?;
                }
            })?;
        }
        drop((todo_of_workers, done_of_worker));
        crew.spawn("chunks", move || {
            loop {
                control.gate.pass(cancel)?;
                let next = chunker.next(sizer, session, cancel)?;
                // The workers are gone only if they have failed, or nobody wants more.
                if next.is_none_or(|chunk| todo.send(chunk).is_err()) {
                    crowd.dismiss();
                    return Ok(());
                }
            }
        })?;
        // Dropped on an error, so that the workers end.
        for result in &done {
            if let Err(error) = finished(result) {
                // Those that wait for their turn would keep the chunks coming, and nobody take them.
                crowd.dismiss();
                drop(done);
                return Err(error);
            }
        }
        cancel.check()
    })
}
