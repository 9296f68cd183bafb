//! Throttling by the answer of an HTTP server.

use std::time::{Duration, Instant};

use ureq::Agent;

use super::policy::{Signals, ThrottlePolicy, Verdict};

/// Holds back unless an HTTP server answers a HEAD request with status 200: the protocol of
/// [freno](https://github.com/github/freno), which answers 429 when replicas are behind. An error holds the run
/// back as well, unless [`ignore_errors`](Self::ignore_errors) says otherwise. Only `http://`; needs the feature `http`.
#[derive(Clone)]
pub struct HttpCheck {
    url: String,
    agent: Agent,
    timeout: Duration,
    interval: Duration,
    ignores_errors: bool,
    last: Option<(Instant, Verdict)>,
}

impl std::fmt::Debug for HttpCheck {
    // There may be a password in the URL.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpCheck").finish_non_exhaustive()
    }
}

impl HttpCheck {
    /// By its URL, such as `http://freno/check/online-alter/mysql/main`. It is asked ten times a second at most, and
    /// has a second to answer.
    pub fn new(url: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(1);
        HttpCheck {
            url: url.into(),
            agent: agent(timeout),
            timeout,
            interval: Duration::from_millis(100),
            ignores_errors: false,
            last: None,
        }
    }

    /// How often it is asked at most. The policies of a run are asked ten times a second.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long it may take to answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.agent = agent(timeout);
        self.timeout = timeout;
        self
    }

    /// Its URL, with what there may be of a password in it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether the run goes on when the server cannot be reached. Default: no.
    #[must_use]
    pub fn ignore_errors(mut self, ignore: bool) -> Self {
        self.ignores_errors = ignore;
        self
    }
}

/// The same question, asked in the same way.
impl PartialEq for HttpCheck {
    fn eq(&self, other: &Self) -> bool {
        let asks = |check: &Self| (check.interval, check.timeout, check.ignores_errors);
        self.url == other.url && asks(self) == asks(other)
    }
}

fn agent(timeout: Duration) -> Agent {
    let config = Agent::config_builder().timeout_global(Some(timeout));
    // A page to which somebody is sent to log in is no answer.
    let config = config.http_status_as_error(false).max_redirects(0);
    config.build().into()
}

impl ThrottlePolicy for HttpCheck {
    fn check(&mut self, _: &mut dyn Signals) -> Verdict {
        if let Some((asked, verdict)) = &self.last
            && asked.elapsed() < self.interval
        {
            return verdict.clone();
        }
        let verdict = match self.agent.head(&self.url).call() {
            Ok(answer) if answer.status() == 200 => Verdict::Proceed,
            Ok(answer) => Verdict::Wait(format!("http={}", answer.status().as_u16())),
            Err(error) if self.ignores_errors => {
                log::debug!("the throttling server: {error}");
                Verdict::Proceed
            }
            // The crate may quote the URL.
            Err(_) if self.url.contains('@') => Verdict::Wait("http error".to_owned()),
            Err(error) => Verdict::Wait(format!("http error: {error}")),
        };
        self.last = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::super::policy::tests::Everything;
    use super::*;

    /// A server that gives these answers, one after the other, and the requests that it got.
    fn server(answers: &'static [&str]) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/check/app", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                requests.push(lines.next().unwrap().unwrap());
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .unwrap();
            }
            requests
        });
        (url, serving)
    }

    #[test]
    fn holds_back_unless_the_answer_is_200() {
        let (url, serving) = server(&["200 OK", "429 Too Many Requests", "500 Error"]);
        let mut check = HttpCheck::new(&url).interval(Duration::ZERO);
        let mut ask = || check.check(&mut Everything::with(Ok(0)));
        assert_eq!(ask(), Verdict::Proceed);
        assert_eq!(ask(), Verdict::Wait("http=429".to_owned()));
        assert_eq!(ask(), Verdict::Wait("http=500".to_owned()));
        assert_eq!(serving.join().unwrap(), ["HEAD /check/app HTTP/1.1"; 3]);
        // Nobody listens any more.
        assert!(matches!(ask(), Verdict::Wait(why) if why.starts_with("http error: ")));
        let mut check = check.ignore_errors(true);
        assert_eq!(check.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
    }

    #[test]
    fn a_server_that_does_not_answer_in_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mut check = HttpCheck::new(url).timeout(Duration::from_millis(50));
        assert!(matches!(check.check(&mut Everything::with(Ok(0))), Verdict::Wait(_)));
    }

    #[test]
    fn is_not_asked_more_often_than_it_should() {
        let (url, serving) = server(&["429 Too Many Requests"]);
        let mut check = HttpCheck::new(url).interval(Duration::from_secs(3600));
        for _ in 0..3 {
            let said = check.check(&mut Everything::with(Ok(0)));
            assert_eq!(said, Verdict::Wait("http=429".to_owned()));
        }
        assert_eq!(serving.join().unwrap().len(), 1);
    }
}
