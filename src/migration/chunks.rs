//! Going through the table in chunks, with several workers side by side.

use super::control::Control;
use super::crew::Crew;
use crate::copy::chunk::Chunk;
use crate::copy::chunk_size::Sizer;
use crate::copy::chunker::Chunker;
use crate::db::Session;
use crate::error::Result;

/// Cuts chunks on `session` and has each one worked on by one of the `workers`. What comes out is
/// handed to `finished` on this thread, in the order in which it comes.
pub(crate) fn in_chunks<T: Send>(
    control: &Control,
    mut chunker: Chunker,
    sizer: &Sizer,
    session: &mut Session,
    workers: Vec<Session>,
    work: impl Fn(Chunk, &mut Session) -> Result<T> + Sync,
    mut finished: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let cancel = &control.cancel;
    std::thread::scope(|scope| {
        let crew = Crew { scope, control };
        // One chunk waits for each worker, so that none waits for its boundary to be found.
        let (todo, todo_of_workers) = crossbeam_channel::bounded(workers.len());
        let (done_of_worker, done) = crossbeam_channel::bounded(workers.len());
        for mut session in workers {
            let (todo, done) = (todo_of_workers.clone(), done_of_worker.clone());
            let work = &work;
            crew.spawn("chunk", move || {
                for chunk in todo {
                    if done.send(work(chunk, &mut session)?).is_err() {
                        break;
                    }
                }
                Ok(())
            })?;
        }
        drop((todo_of_workers, done_of_worker));
        crew.spawn("chunks", move || {
            loop {
                control.gate.pass(cancel)?;
                let Some(chunk) = chunker.next(sizer.rows(), session, cancel)? else {
                    return Ok(());
                };
                // The workers are gone only if they have failed, or nobody wants more.
                if todo.send(chunk).is_err() {
                    return Ok(());
                }
            }
        })?;
        // Dropped on an error, so that the workers end.
        for result in &done {
            if let Err(error) = finished(result) {
                drop(done);
                return Err(error);
            }
        }
        cancel.check()
    })
}
