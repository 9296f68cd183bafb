//! Postponing the cut-over.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::aside::Aside;
use crate::error::{Error, ErrorKind, Result};

/// Says for how long the cut-over waits after the copy is complete. Until then the ghost is kept
/// in step with the table. It is asked again before each attempt to cut over: if one fails, the next waits while this
/// says so. [`Handle::cut_over`](crate::Handle::cut_over) ends the wait in any case.
pub struct Postpone(Kind);

enum Kind {
    Never,
    UntilReleased,
    File(PathBuf),
    While(Box<dyn FnMut() -> bool + Send>),
    /// The same, once it was asked: in a thread of its own, lest it keep the run from ending.
    Asked(Aside<bool>),
    Either(Box<(Postpone, Postpone)>),
}

impl Postpone {
    /// Does not wait: the default.
    pub fn never() -> Self {
        Postpone(Kind::Never)
    }

    /// Waits for [`Handle::cut_over`](crate::Handle::cut_over).
    pub fn until_released() -> Self {
        Postpone(Kind::UntilReleased)
    }

    /// Waits while a file exists. As with gh-ost, the file is created when the run starts, if it is
    /// missing: removing it releases the cut-over.
    pub fn while_file_exists(path: impl Into<PathBuf>) -> Self {
        Postpone(Kind::File(path.into()))
    }

    /// Waits while the function, which is asked a few times a second, says `true`. It runs in a thread of its own. If it does
    /// not come back, the cut-over waits for it, but neither the end of the run nor
    /// [`Handle::cut_over`](crate::Handle::cut_over) does for longer than two seconds: then the thread is left behind.
    pub fn while_true(wait: impl FnMut() -> bool + Send + 'static) -> Self {
        Postpone(Kind::While(Box::new(wait)))
    }

    /// Waits for as long as this or the other does.
    #[must_use]
    pub fn or(self, other: Postpone) -> Self {
        Postpone(Kind::Either(Box::new((self, other))))
    }

    /// Called when the run starts.
    pub(crate) fn prepare(&self) -> Result<()> {
        let path = match &self.0 {
            Kind::File(path) => path,
            Kind::Either(both) => return both.0.prepare().and_then(|()| both.1.prepare()),
            _ => return Ok(()),
        };
        OpenOptions::new().create(true).append(true).open(path).map(drop).map_err(|error| {
            let why = format!("the flag file {} cannot be created: {error}", path.display());
            Error::new(ErrorKind::Config, why).with_source(error)
        })
    }

    /// Whether to go on waiting. A file that cannot be looked for counts as there.
    /// `give_up` says that the answer does not matter any more.
    pub(crate) fn waits(&mut self, give_up: &dyn Fn() -> bool) -> bool {
        self.set_aside();
        match &mut self.0 {
            Kind::Never => false,
            // Of a function for which there is no thread to be had, nobody knows.
            Kind::UntilReleased | Kind::While(_) => true,
            Kind::File(path) => path.try_exists().unwrap_or(true),
            Kind::Asked(wait) => wait.ask(give_up, drop).unwrap_or(true),
            Kind::Either(both) => both.0.waits(give_up) || both.1.waits(give_up),
        }
    }
}

impl Postpone {
    /// Gives the function a thread.
    fn set_aside(&mut self) {
        let Kind::While(_) = &self.0 else { return };
        if let Kind::While(mut wait) = std::mem::replace(&mut self.0, Kind::UntilReleased)
            && let Ok(aside) = Aside::start("oa-postpone", move |_| wait())
        {
            self.0 = Kind::Asked(aside);
        }
    }
}

impl std::fmt::Debug for Postpone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Never => f.write_str("Never"),
            Kind::UntilReleased => f.write_str("UntilReleased"),
            Kind::File(path) => f.debug_tuple("File").field(path).finish(),
            Kind::While(_) | Kind::Asked(_) => f.write_str("While(..)"),
            Kind::Either(both) => f.debug_tuple("Either").field(&both.0).field(&both.1).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn waits_for_both() {
        let flags = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
        let [one, other] =
            flags.clone().map(|flag| Postpone::while_true(move || flag.load(Ordering::SeqCst)));
        let mut both = one.or(other);
        for (first, second) in [(true, true), (false, true), (true, false), (false, false)] {
            flags[0].store(first, Ordering::SeqCst);
            flags[1].store(second, Ordering::SeqCst);
            assert_eq!(both.waits(&|| false), first || second);
        }
    }
}
