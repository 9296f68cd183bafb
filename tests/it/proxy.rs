//! A TCP proxy that loses what a test wants lost.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What to do about the first requests that contain a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lose {
    /// The server gets the request, and the client never gets an answer.
    Answer,
    /// The server never gets the request.
    Request,
    /// The server gets the request, and the client nobody any more.
    Server,
    /// The server never gets the request. Whoever connects after that is never told anything.
    Voice,
}

/// A proxy in front of a server. Its threads end with their connections, or with the test.
pub(crate) struct Proxy {
    port: u16,
    lost: Arc<AtomicUsize>,
}

impl Proxy {
    /// Loses `times` requests that contain `text`, or their answers, and closes the connection.
    pub(crate) fn start(server_port: u16, text: &'static str, lose: Lose, times: usize) -> Self {
        Self::start_with(server_port, server_port, text, lose, times)
    }

    /// Loses the first request that contains `text`. Whoever connects after that gets to the other server.
    pub(crate) fn switching(server_port: u16, other: u16, text: &'static str) -> Self {
        Self::start_with(server_port, other, text, Lose::Request, 1)
    }

    /// Whoever connects from now on gets to the other server.
    pub(crate) fn switch(&self) {
        self.lost.store(1, Ordering::SeqCst);
    }

    fn start_with(
        server_port: u16,
        other: u16,
        text: &'static str,
        lose: Lose,
        times: usize,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let lost = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lost);
        std::thread::spawn(move || {
            let mut unheard = Vec::new();
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if lose == Lose::Voice && count.load(Ordering::SeqCst) >= times {
                    unheard.push(client);
                    continue;
                }
                if lose == Lose::Server && count.load(Ordering::SeqCst) >= times {
                    continue;
                }
                let port = if count.load(Ordering::SeqCst) < times { server_port } else { other };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let _ = client.set_nodelay(true);
                let _ = server.set_nodelay(true);
                let (answers, back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let count = Arc::clone(&count);
                let mute = Arc::new(AtomicBool::new(false));
                let muted = Arc::clone(&mute);
                std::thread::spawn(move || {
                    let losing = Losing { text: text.as_bytes(), lose, times, lost: &count };
                    losing.requests(client, server, &mute);
                });
                std::thread::spawn(move || pump(answers, back, &muted));
            }
        });
        Proxy { port, lost }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many requests were lost, or lost their answer.
    pub(crate) fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

struct Losing<'a> {
    text: &'static [u8],
    lose: Lose,
    times: usize,
    lost: &'a AtomicUsize,
}

impl Losing<'_> {
    /// A request of ours fits into one read: it is far smaller than the buffer, and nothing is sent
    /// before the answer to the one before.
    fn requests(&self, mut client: TcpStream, mut server: TcpStream, mute: &AtomicBool) {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            let request = &buffer[..length];
            let hit = request.windows(self.text.len()).any(|window| window == self.text);
            if hit && self.lost.load(Ordering::SeqCst) < self.times {
                // The client hears nothing more, whatever the server does.
                let _ = client.shutdown(Shutdown::Both);
                mute.store(true, Ordering::SeqCst);
                self.lost.fetch_add(1, Ordering::SeqCst);
                match self.lose {
                    // And the server is not told that the client is gone.
                    Lose::Answer | Lose::Server => drop(server.write_all(request)),
                    Lose::Request | Lose::Voice => drop(server.shutdown(Shutdown::Both)),
                }
                return;
            }
            if server.write_all(request).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mute: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if mute.load(Ordering::SeqCst) {
            continue;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
