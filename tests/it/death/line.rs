//! A TCP proxy in front of a server, on which one connection of a kind goes wrong at a byte that is named beforehand.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// Both ends see the connection closed.
    Cut,
    /// The client does. The server is told nothing, and never will be.
    Half,
    /// Nothing gets through for so long.
    Stall(Duration),
    /// All that is sent from then on takes so long, on all connections of the kind.
    Delay(Duration),
}

/// The proxy. Its threads end with their connections, or with the test.
pub(super) struct Line {
    port: u16,
    state: Arc<State>,
}

struct State {
    /// Those are of the kind in whose requests this text has been seen; all, if it is empty.
    kind: String,
    fault: Fault,
    at: u64,
    /// Bytes of connections of the kind, both ways.
    bytes: AtomicU64,
    struck: AtomicUsize,
    /// Nothing gets through for now, and what is held up never does.
    held: AtomicBool,
    /// Connections to the server whose clients are gone.
    kept: Mutex<Vec<TcpStream>>,
}

/// A connection: both its ends, and whether it is of the kind.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    counts: AtomicBool,
    state: Arc<State>,
}

impl Line {
    /// The fault comes when the connections of the kind have sent and received so many bytes.
    pub(super) fn start(server_port: u16, kind: &str, fault: Fault, at: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            kind: kind.to_owned(),
            fault,
            at,
            bytes: AtomicU64::new(0),
            struck: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            kept: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
                let _ = client.set_nodelay(true);
                let _ = server.set_nodelay(true);
                let counts = AtomicBool::new(shared.kind.is_empty());
                let state = Arc::clone(&shared);
                let pair = Arc::new(Pair { client, server, counts, state });
                let other = Arc::clone(&pair);
                std::thread::spawn(move || pair.pump(true));
                std::thread::spawn(move || other.pump(false));
            }
        });
        Line { port, state }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// How many bytes connections of the kind have sent and received.
    pub(super) fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// From now on nothing gets through on connections of the kind; those that try are cut once that is over.
    pub(super) fn holder(&self) -> impl Fn(bool) + Send + Sync + 'static {
        let state = Arc::clone(&self.state);
        move |held| state.held.store(held, Ordering::SeqCst)
    }

    pub(super) fn has_struck(&self) -> bool {
        self.state.struck.load(Ordering::SeqCst) > 0
    }
}

impl Pair {
    fn pump(&self, requests: bool) {
        let (mut from, mut to) =
            if requests { (&self.client, &self.server) } else { (&self.server, &self.client) };
        // What has come meanwhile goes on together: a slow line is late, not narrow.
        let mut buffer = vec![0; 4 << 20];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let data = &buffer[..length];
            let kind = self.state.kind.as_bytes();
            if requests
                && !self.counts.load(Ordering::SeqCst)
                && data.windows(kind.len()).any(|window| window == kind)
            {
                self.counts.store(true, Ordering::SeqCst);
            }
            if self.is_held() {
                while self.is_held() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                break;
            }
            let cut = self.fault_in(data.len());
            let (now, later) = data.split_at(cut.unwrap_or(data.len()));
            if to.write_all(now).is_err() {
                break;
            }
            match self.state.fault {
                Fault::Cut if cut.is_some() => break,
                Fault::Half if cut.is_some() => {
                    let server = self.server.try_clone().unwrap();
                    self.state.kept.lock().push(server);
                    let _ = self.client.shutdown(Shutdown::Both);
                    return;
                }
                Fault::Stall(time) if cut.is_some() => std::thread::sleep(time),
                Fault::Delay(time) if self.has_begun() => std::thread::sleep(time),
                _ => {}
            }
            if to.write_all(later).is_err() {
                break;
            }
        }
        if self.state.fault == Fault::Half
            && self.state.struck.load(Ordering::SeqCst) > 0
            && requests
        {
            // Its client's end is what has been closed.
            return;
        }
        // Nor does a close get through.
        while self.is_held() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn is_held(&self) -> bool {
        self.counts.load(Ordering::SeqCst) && self.state.held.load(Ordering::SeqCst)
    }

    fn has_begun(&self) -> bool {
        self.counts.load(Ordering::SeqCst) && self.state.struck.load(Ordering::SeqCst) > 0
    }

    /// How many of so many bytes get through before the fault, if it comes in them.
    fn fault_in(&self, length: usize) -> Option<usize> {
        if !self.counts.load(Ordering::SeqCst) {
            return None;
        }
        let before = self.state.bytes.fetch_add(length as u64, Ordering::SeqCst);
        let left = self.state.at.checked_sub(before)?;
        if self.state.fault == Fault::None || left >= length as u64 {
            return None;
        }
        self.state.struck.fetch_add(1, Ordering::SeqCst);
        usize::try_from(left).ok()
    }
}
