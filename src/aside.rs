//! Functions of the caller's, each in a thread of its own: one that does not come back must not keep the run from ending.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Result};

/// How often a wait for an answer looks whether it is given up.
const CANCEL_CHECK: Duration = Duration::from_millis(20);

/// How long a function that is under way when the run ends is waited for. One that takes longer is left to itself: its
/// thread ends when it does, if it does.
const GRACE: Duration = Duration::from_secs(1);

/// What a function says while it is asked.
enum Said<Q, A> {
    /// It wants to know something.
    Question(Q, SyncSender<A>),
    Answer(Box<dyn Any + Send>),
    Panic(Box<dyn Any + Send>),
}

/// How a function asks back whoever has asked it.
pub(crate) struct Back<Q, A>(Sender<Said<Q, A>>);

impl<Q, A> Back<Q, A> {
    /// None once nobody listens any more.
    pub(crate) fn ask(&self, question: Q) -> Option<A> {
        let (answer, answered) = sync_channel(1);
        self.0.send(Said::Question(question, answer)).ok()?;
        answered.recv().ok()
    }
}

/// A function in a thread of its own, which is asked for `T` again and again, and may ask back meanwhile.
pub(crate) struct Aside<T, Q = (), A = ()> {
    /// Taken in the end.
    orders: Option<Sender<()>>,
    said: Receiver<Said<Q, A>>,
    what: std::marker::PhantomData<fn() -> T>,
}

impl<T: Send + 'static, Q: Send + 'static, A: Send + 'static> Aside<T, Q, A> {
    /// The name is that of the thread: 15 characters at most.
    pub(crate) fn start(
        name: &str,
        mut function: impl FnMut(&Back<Q, A>) -> T + Send + 'static,
    ) -> Result<Self> {
        let (orders, ordered) = channel();
        let (say, said) = channel();
        let work = move || {
            let back = Back(say);
            while ordered.recv().is_ok() {
                let said = match catch_unwind(AssertUnwindSafe(|| function(&back))) {
                    Ok(value) => Said::Answer(Box::new(value)),
                    Err(panic) => Said::Panic(panic),
                };
                if back.0.send(said).is_err() {
                    break;
                }
            }
            // What it holds goes before whoever waits for its end is told.
            drop(function);
            drop(back);
        };
        thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|error| {
            Error::new(ErrorKind::Server, "a thread could not be started").with_source(error)
        })?;
        Ok(Aside { orders: Some(orders), said, what: std::marker::PhantomData })
    }

    /// Asks it, and answers what it asks back. None if nobody wants to wait any more before it has answered, and it takes
    /// longer than a moment even so; it must not be asked again then. Panics if it does.
    pub(crate) fn ask(
        &self,
        give_up: &dyn Fn() -> bool,
        mut answer: impl FnMut(Q) -> A,
    ) -> Option<T> {
        self.orders.as_ref()?.send(()).ok()?;
        let mut end = None;
        loop {
            match self.said.recv_timeout(CANCEL_CHECK) {
                Ok(Said::Question(question, answered)) => {
                    // It may be gone.
                    let _ = answered.send(answer(question));
                }
                Ok(Said::Answer(value)) => return value.downcast().ok().map(|value| *value),
                Ok(Said::Panic(panic)) => resume_unwind(panic),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if give_up() {
                let end = *end.get_or_insert_with(|| Instant::now() + GRACE);
                if Instant::now() > end {
                    return None;
                }
            }
        }
    }
}

impl<T, Q, A> Drop for Aside<T, Q, A> {
    /// Waits a moment for what it is at, so that its function is gone with it, if that comes back.
    fn drop(&mut self) {
        drop(self.orders.take());
        let end = Instant::now() + GRACE;
        loop {
            // Its questions are not answered any more.
            match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        log::warn!(
            "a function of the caller's has not come back, and its thread is left to itself"
        );
    }
}

impl<T, Q, A> std::fmt::Debug for Aside<T, Q, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aside")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn asks_and_is_asked_back() {
        let mut calls = 0;
        let aside = Aside::<i32, i32, i32>::start("t", move |back| {
            calls += 1;
            calls + back.ask(10).unwrap_or(0)
        });
        let aside = aside.unwrap();
        assert_eq!(aside.ask(&|| false, |n| n * 2), Some(21));
        assert_eq!(aside.ask(&|| false, |n| n * 3), Some(32));
        // Who comes back at once is heard even so.
        assert_eq!(aside.ask(&|| true, |n| n), Some(13));
    }

    #[test]
    fn what_it_holds_goes_with_it() {
        let held = Arc::new(());
        let inside = Arc::clone(&held);
        let aside = Aside::<usize>::start("t", move |_| Arc::strong_count(&inside)).unwrap();
        assert_eq!(aside.ask(&|| false, drop), Some(2));
        drop(aside);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn one_that_does_not_come_back_is_left_to_itself() {
        let aside = Aside::<()>::start("t", |_| {
            loop {
                thread::park();
            }
        });
        let aside = aside.unwrap();
        let asked = Instant::now();
        assert_eq!(aside.ask(&|| true, drop), None);
        drop(aside);
        assert!(asked.elapsed() < GRACE * 4);
    }

    #[test]
    fn its_panic_is_the_askers() {
        let aside = Aside::<()>::start("t", |_| panic!("as the test wants it")).unwrap();
        let asked = catch_unwind(AssertUnwindSafe(|| aside.ask(&|| false, drop)));
        assert!(asked.is_err());
    }
}
