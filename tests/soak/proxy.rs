//! A TCP proxy whose connections can be cut, delayed and stalled.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

#[derive(Debug)]
struct Shared {
    server: u16,
    /// By the port by which the server knows it.
    open: Mutex<Vec<(u16, TcpStream, TcpStream)>>,
    delay_ms: AtomicU64,
    stalled_until: Mutex<Option<Instant>>,
    closed: AtomicBool,
}

/// Dropped, it cuts everything and is gone.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    pub(crate) fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            server,
            open: Mutex::default(),
            delay_ms: AtomicU64::new(0),
            stalled_until: Mutex::new(None),
            closed: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if accepting.closed.load(SeqCst) {
                    return;
                }
                accepting.accept(&client);
            }
        });
        Proxy { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the connections for which this is so, by the port by which the server knows them.
    pub(crate) fn cut(&self, which: impl Fn(u16) -> bool) {
        let mut open = self.shared.open.lock();
        for (_, client, server) in open.extract_if(.., |(port, ..)| which(*port)) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// The ports by which the server knows those that are open.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.shared.open.lock().iter().map(|(port, ..)| *port).collect()
    }

    /// Everything takes so much longer, each way.
    pub(crate) fn delay(&self, delay: Duration) {
        self.shared.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), SeqCst);
    }

    /// Nothing goes through, and nothing is closed.
    pub(crate) fn stall(&self, time: Duration) {
        *self.shared.stalled_until.lock() = Some(Instant::now() + time);
    }

    pub(crate) fn calm(&self) {
        self.delay(Duration::ZERO);
        *self.shared.stalled_until.lock() = None;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.calm();
        self.shared.closed.store(true, SeqCst);
        // It waits for somebody.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.cut(|_| true);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: &TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)) else { return };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let Ok(port) = server.local_addr().map(|address| address.port()) else { return };
        let both = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
        let (Some(there), Some(back), Some((kept, kept_server))) = (both(), both(), both()) else {
            return;
        };
        self.open.lock().push((port, kept, kept_server));
        for (from, to) in [(there.0, there.1), (back.1, back.0)] {
            let shared = Arc::clone(self);
            thread::spawn(move || {
                shared.pump(from, to);
                shared.open.lock().retain(|(other, ..)| *other != port);
            });
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0; 1 << 14];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let delay = self.delay_ms.load(SeqCst);
            if delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            while self.stalled_until.lock().is_some_and(|until| Instant::now() < until) {
                thread::sleep(Duration::from_millis(10));
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }
}
