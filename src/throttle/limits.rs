//! The limits that can be changed while a run goes on, and the policy that keeps them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::history::HistoryLimit;
#[cfg(feature = "http")]
use super::http::HttpCheck;
use super::policy::{SignalError, Signals, ThrottlePolicy, Verdict};
use super::query::ThrottleQuery;
use super::replicas::{Most, Replicas};
use super::status::StatusLimits;
use crate::endpoint::Endpoint;

/// The lag that replicas may have if nothing else is said: gh-ost's default.
const MAX_LAG: Duration = Duration::from_millis(1500);

/// For how long a replica counts that is no longer attached.
const MISSED: Duration = Duration::from_secs(300);

/// How often attached replicas are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What holds a run back. Everything in here can be changed while the run goes on:
/// [`Handle::change_limits`](crate::Handle::change_limits).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Hold back while the binlog stream, or a control replica, is behind by this or more; in a run
    /// [on a replica](crate::OnReplica) also its own replication. Default: none for these, and 1.5 s for control replicas.
    pub max_lag: Option<Duration>,
    /// Replicas that must not fall behind, besides the server itself. Each is asked several times a second for the last
    /// heartbeat that it has replicated; lag is the time since the first one that it has not, by this machine's
    /// clock. One that cannot be asked holds the run back. Default: none.
    pub control_replicas: Vec<Endpoint>,
    /// The same for all replicas that are attached to the server, whoever they are: they are looked for every ten
    /// seconds, and one that is no longer attached counts for five minutes more. See [`Signals::attached_replicas`] for what that takes. Default: no.
    pub attached_replicas: bool,
    /// Hold back while a status variable of the server is at its limit or above. It is looked at ten times a second.
    /// Default: none.
    ///
    /// `Threads_running` counts the run's own connections, too: the stream and the look itself always, and each that
    /// copies (`copy_workers`), refreshes (2) or writes a heartbeat while it does. A limit with less room than that above
    /// what the application has by itself makes the run hold itself back now and then. One statement cannot be
    /// held back once it has begun, that which builds the indexes after the copy: with such a limit indexes are kept up from
    /// the start, unless [asked for otherwise](crate::OnlineAlter::index_build).
    pub max_load: StatusLimits,
    /// End the run, cleanly, when a status variable of the server is at its limit or above. Default: none.
    pub critical_load: StatusLimits,
    /// A critical load ends the run only if it is there at each look for so long. Default: zero, at once. (gh-ost looks
    /// once more after that time, and not between.)
    pub critical_load_recheck: Duration,
    /// Hold back for so long when the load is critical, instead of ending the run. Default: none.
    pub critical_load_hibernation: Option<Duration>,
    /// Hold back while InnoDB's history list is so long or longer, on the server or a control replica
    /// ([`HistoryLimit`]). On MySQL the user needs PROCESS there. Default: none.
    pub max_history: Option<u64>,
    /// Hold back while this query, asked once a second on the server of the table, answers with a number above zero
    /// ([`ThrottleQuery`]). Default: none.
    pub throttle_query: Option<String>,
    /// Hold back unless this check is answered with 200 ([`HttpCheck`]). Default: none.
    #[cfg(feature = "http")]
    pub throttle_http: Option<HttpCheck>,
    /// After each chunk, rest for so many times the time that it took: 0.5 leaves two thirds of the time to the copy.
    /// Default: zero.
    pub nice_ratio: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_lag: None,
            control_replicas: Vec::new(),
            attached_replicas: false,
            max_load: StatusLimits::new(),
            critical_load: StatusLimits::new(),
            critical_load_recheck: Duration::ZERO,
            critical_load_hibernation: None,
            max_history: None,
            throttle_query: None,
            #[cfg(feature = "http")]
            throttle_http: None,
            nice_ratio: 0.0,
        }
    }
}

impl Limits {
    /// Whether there is anything to ask for.
    pub(crate) fn are_any(&self) -> bool {
        let Limits { max_lag, control_replicas, max_load, critical_load, .. } = self;
        let Limits { max_history, throttle_query, .. } = self;
        #[cfg(feature = "http")]
        if self.throttle_http.is_some() {
            return true;
        }
        max_lag.is_some()
            || self.attached_replicas
            || max_history.is_some()
            || throttle_query.is_some()
            || !(control_replicas.is_empty() && max_load.is_empty() && critical_load.is_empty())
    }

    /// The rest after a chunk that took `time`. At most 100 times that, as with gh-ost.
    pub(crate) fn rest(&self, time: Duration) -> Duration {
        if self.nice_ratio > 0.0 {
            time.mul_f64(self.nice_ratio.min(100.0))
        } else {
            Duration::ZERO
        }
    }
}

/// The attached replicas.
#[derive(Debug, Default)]
struct Attached {
    looked: Option<Instant>,
    /// With the time at which each was seen last.
    seen: Vec<(Endpoint, Instant)>,
}

impl Attached {
    /// Those that are attached, and those that were until a short while ago: one whose connection to the server breaks
    /// falls behind all the more.
    fn all(&mut self, signals: &mut dyn Signals) -> Result<Vec<Endpoint>, SignalError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_AGAIN) {
            let now = Instant::now();
            for endpoint in signals.attached_replicas()? {
                self.seen.retain(|(other, _)| *other != endpoint);
                self.seen.push((endpoint, now));
            }
            self.seen.retain(|(_, seen)| seen.elapsed() < MISSED);
            self.looked = Some(now);
        }
        Ok(self.seen.iter().map(|(endpoint, _)| endpoint.clone()).collect())
    }
}

/// Keeps the limits, whatever they are at the moment.
#[derive(Debug)]
pub(crate) struct KeepLimits {
    limits: Arc<Mutex<Limits>>,
    replicas: Replicas,
    attached: Attached,
    history: Option<HistoryLimit>,
    query: Option<ThrottleQuery>,
    #[cfg(feature = "http")]
    http: Option<HttpCheck>,
    hibernates_until: Option<Instant>,
    critical_since: Option<Instant>,
}

impl KeepLimits {
    pub(crate) fn new(limits: Arc<Mutex<Limits>>) -> Self {
        KeepLimits {
            limits,
            replicas: Replicas::default(),
            attached: Attached::default(),
            history: None,
            query: None,
            #[cfg(feature = "http")]
            http: None,
            hibernates_until: None,
            critical_since: None,
        }
    }

    fn check_critical_load(&mut self, limits: &Limits, signals: &mut dyn Signals) -> Verdict {
        let now = Instant::now();
        if limits.critical_load_hibernation.is_none() || limits.critical_load.is_empty() {
            self.hibernates_until = None;
        }
        if self.hibernates_until.is_some_and(|until| now < until) {
            return Verdict::Wait("critical-load-hibernate".to_owned());
        }
        self.hibernates_until = None;
        let load = match limits.critical_load.exceeded(signals) {
            Err(error) => return Verdict::Wait(error.to_string()),
            Ok(None) => {
                self.critical_since = None;
                return Verdict::Proceed;
            }
            Ok(Some(load)) => format!("critical-load {load}"),
        };
        if let Some(time) = limits.critical_load_hibernation {
            self.hibernates_until = Some(now + time.min(Duration::from_secs(1 << 30)));
            return Verdict::Wait(format!("{load}: hibernating for {} s", time.as_secs()));
        }
        let since = *self.critical_since.get_or_insert(now);
        if now.duration_since(since) < limits.critical_load_recheck {
            return Verdict::Wait(load);
        }
        Verdict::Abort(load)
    }
}

impl ThrottlePolicy for KeepLimits {
    fn check(&mut self, signals: &mut dyn Signals) -> Verdict {
        let limits = self.limits.lock().clone();
        let verdict = self.check_critical_load(&limits, signals);
        if verdict != Verdict::Proceed {
            return verdict;
        }
        let verdict = limits.max_load.clone().check(signals);
        if verdict != Verdict::Proceed {
            return verdict;
        }
        if let Some(most) = limits.max_lag {
            let lag = signals.stream_lag();
            if lag >= most {
                return Verdict::Wait(format!("lag={:.3}s", lag.as_secs_f64()));
            }
            match signals.replication_lag() {
                Ok(lag) if lag < most => {}
                Ok(lag) => return Verdict::Wait(format!("replication-lag={}s", lag.as_secs())),
                Err(error) => return Verdict::Wait(error.to_string()),
            }
        }
        if self.history.as_ref().map(HistoryLimit::at_least) != limits.max_history {
            self.history = limits.max_history.map(HistoryLimit::new);
        }
        let verdict = self.history.as_mut().map_or(Verdict::Proceed, |limit| limit.check(signals));
        if verdict != Verdict::Proceed {
            return verdict;
        }
        if self.query.as_ref().map(ThrottleQuery::sql) != limits.throttle_query.as_deref() {
            self.query = limits.throttle_query.as_ref().map(ThrottleQuery::new);
        }
        let verdict = self.query.as_mut().map_or(Verdict::Proceed, |query| query.check(signals));
        if verdict != Verdict::Proceed {
            return verdict;
        }
        #[cfg(feature = "http")]
        {
            // Not a new one each time: it knows when it was asked last.
            if self.http != limits.throttle_http {
                self.http = limits.throttle_http;
            }
            let verdict = self.http.as_mut().map_or(Verdict::Proceed, |check| check.check(signals));
            if verdict != Verdict::Proceed {
                return verdict;
            }
        }
        let mut replicas = limits.control_replicas;
        if limits.attached_replicas {
            match self.attached.all(signals) {
                Ok(attached) => replicas.extend(attached),
                Err(error) => return Verdict::Wait(error.to_string()),
            }
        }
        let most = Most { lag: limits.max_lag.unwrap_or(MAX_LAG), history: limits.max_history };
        self.replicas.check(&replicas, most, signals)
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::tests::Everything;
    use super::*;

    fn keeper(change: impl FnOnce(&mut Limits)) -> (KeepLimits, Arc<Mutex<Limits>>) {
        let limits = Arc::new(Mutex::new(Limits::default()));
        change(&mut limits.lock());
        (KeepLimits::new(Arc::clone(&limits)), limits)
    }

    fn load(limit: u64) -> StatusLimits {
        StatusLimits::new().limit("Threads_running", limit)
    }

    #[test]
    fn without_limits_nothing_is_asked() {
        let (mut keeper, _) = keeper(|_| ());
        let nothing = SignalError { what: "x".into(), why: "gone".into() };
        assert_eq!(keeper.check(&mut Everything::with(Err(nothing))), Verdict::Proceed);
    }

    #[test]
    fn a_changed_limit_counts_at_once() {
        let (mut keeper, limits) = keeper(|limits| limits.max_load = load(10));
        let wait = Verdict::Wait("max-load Threads_running=20 >= 10".into());
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), wait);
        limits.lock().max_load = load(21);
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), Verdict::Proceed);
        limits.lock().throttle_query = Some("q".to_owned());
        let wait = Verdict::Wait("throttle-query".into());
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), wait);
        limits.lock().throttle_query = None;
        limits.lock().max_history = Some(20);
        let wait = Verdict::Wait("history-list-length=20 >= 20".into());
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), wait);
        limits.lock().max_history = Some(21);
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), Verdict::Proceed);
        limits.lock().max_lag = Some(Duration::from_secs(20));
        let wait = Verdict::Wait("replication-lag=20s".into());
        assert_eq!(keeper.check(&mut Everything::with(Ok(20))), wait);
        limits.lock().max_lag = Some(Duration::from_secs(2));
        let behind = Everything { lag: Duration::from_secs(2), ..Everything::with(Ok(20)) };
        assert_eq!(keeper.check(&mut { behind }), Verdict::Wait("lag=2.000s".into()));
    }

    #[cfg(feature = "http")]
    #[test]
    fn a_check_over_http_comes_and_goes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/check", listener.local_addr().unwrap());
        drop(listener);
        let (mut keeper, limits) = keeper(|_| ());
        limits.lock().throttle_http = Some(HttpCheck::new(url));
        let verdict = keeper.check(&mut Everything::with(Ok(0)));
        assert!(matches!(verdict, Verdict::Wait(why) if why.starts_with("http error")));
        let ignoring = limits.lock().throttle_http.take().map(|check| check.ignore_errors(true));
        limits.lock().throttle_http = ignoring;
        assert_eq!(keeper.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
        limits.lock().throttle_http = None;
        assert_eq!(keeper.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
    }

    #[test]
    fn a_critical_load_ends_the_run_at_once_or_after_a_second_look() {
        let (mut keeper, limits) = keeper(|limits| limits.critical_load = load(10));
        let critical = "critical-load Threads_running=10 >= 10".to_owned();
        assert_eq!(keeper.check(&mut Everything::with(Ok(9))), Verdict::Proceed);
        assert_eq!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Abort(critical.clone()));
        limits.lock().critical_load_recheck = Duration::from_secs(3600);
        keeper.critical_since = None;
        assert_eq!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Wait(critical.clone()));
        keeper.critical_since = Instant::now().checked_sub(Duration::from_secs(3600));
        assert_eq!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Abort(critical.clone()));
        // What has passed is forgotten.
        assert_eq!(keeper.check(&mut Everything::with(Ok(9))), Verdict::Proceed);
        assert_eq!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Wait(critical));
    }

    #[test]
    fn hibernation_instead() {
        let (mut keeper, limits) = keeper(|limits| {
            limits.critical_load = load(10);
            limits.critical_load_hibernation = Some(Duration::from_secs(60));
        });
        assert!(matches!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Wait(_)));
        // Whatever the load is meanwhile.
        let sleeps = Verdict::Wait("critical-load-hibernate".into());
        assert_eq!(keeper.check(&mut Everything::with(Ok(0))), sleeps);
        keeper.hibernates_until = Some(Instant::now());
        assert_eq!(keeper.check(&mut Everything::with(Ok(0))), Verdict::Proceed);
        assert!(matches!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Wait(_)));
        limits.lock().critical_load = StatusLimits::new();
        assert_eq!(keeper.check(&mut Everything::with(Ok(10))), Verdict::Proceed);
    }

    #[test]
    fn the_rest_after_a_chunk() {
        let rest = |nice_ratio| {
            Limits { nice_ratio, ..Limits::default() }.rest(Duration::from_millis(100))
        };
        for (ratio, millis) in [(0.0, 0), (-1.0, 0), (f64::NAN, 0), (0.5, 50), (1e9, 10_000)] {
            assert_eq!(rest(ratio), Duration::from_millis(millis), "{ratio}");
        }
    }
}
