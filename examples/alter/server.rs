//! Which server, and as whom: the URL, the option file and the environment put together.

use online_alter::mysql::{Opts, OptsBuilder};
use online_alter::{Endpoint, Tls};

use crate::conf::Conf;
use crate::flags::Flags;

/// How to connect. Errors never quote the URL, which may hold a password.
pub(crate) fn opts(flags: &Flags) -> Result<Opts, String> {
    let suffix = flags.conf_group_suffix.as_deref();
    let conf = flags.conf.as_deref().map(|path| Conf::read(path, suffix)).transpose()?;
    let conf = conf.unwrap_or_default();
    let tls = flags.tls.tls(&conf);
    let url = flags.url.as_ref().map(|url| url.0.as_str());
    // As with the servers' own programs: whoever can set it can also see it.
    let environment = std::env::var("MYSQL_PWD").ok();
    with_tls(combine(url, conf, environment)?, tls.as_ref(), flags.tls.ssl)
}

/// TLS by the flags or the file, unless the URL has its own: either of them would take its place as a whole, what the URL
/// wants verified included.
fn with_tls(opts: Opts, tls: Option<&Tls>, by_flag: bool) -> Result<Opts, String> {
    match (tls, opts.get_ssl_opts()) {
        (_, Some(_)) if by_flag => {
            Err("TLS is asked for by --url and by --ssl: by which?".to_owned())
        }
        (None, _) | (_, Some(_)) => Ok(opts),
        (Some(tls), None) => {
            Endpoint::from(opts).tls(tls).opts().map_err(|error| error.message().to_owned())
        }
    }
}

fn combine(url: Option<&str>, conf: Conf, environment: Option<String>) -> Result<Opts, String> {
    let (given, mut builder) = if let Some(url) = url {
        let opts = read("--url", url)?;
        (Some(opts.clone()), OptsBuilder::from_opts(opts))
    } else {
        // `localhost` means the socket, if there is one.
        let local = conf.host.as_deref().is_none_or(|host| host == "localhost");
        let host = conf.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let mut builder = OptsBuilder::new().ip_or_hostname(Some(host));
        builder = builder.tcp_port(conf.port.unwrap_or(3306));
        builder = builder.socket(conf.socket.clone().filter(|_| local));
        (None, builder)
    };
    let given_user = given.as_ref().and_then(Opts::get_user).map(str::to_owned);
    let given_password = given.as_ref().and_then(Opts::get_pass).map(str::to_owned);
    let user = given_user.or(conf.user);
    if user.is_none() {
        return Err("there is no user, neither in --url nor in --conf".to_owned());
    }
    builder = builder.user(user).pass(given_password.or(conf.password).or(environment));
    Ok(builder.into())
}

/// How to connect to the replica whose binary log is read: what its URL leaves out is as on the server.
pub(crate) fn stream_opts(flags: &Flags, server: &Opts) -> Result<Option<Opts>, String> {
    let Some(url) = &flags.stream_url else {
        return Ok(None);
    };
    let given = read("--stream-url", &url.0)?;
    let (user, password) = (given.get_user().or(server.get_user()), given.get_pass());
    let password = password.or(server.get_pass());
    let (user, password) = (user.map(str::to_owned), password.map(str::to_owned));
    let tls = given.get_ssl_opts().or(server.get_ssl_opts()).cloned();
    Ok(Some(OptsBuilder::from_opts(given).user(user).pass(password).ssl_opts(tls).into()))
}

/// The library's own word on a URL never shows what might be of a password.
fn read(flag: &str, url: &str) -> Result<Opts, String> {
    Endpoint::from(url).opts().map_err(|error| format!("{flag}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use online_alter::mysql::SslOpts;

    use super::*;

    fn conf() -> Conf {
        Conf {
            user: Some("u".to_owned()),
            password: Some("p".to_owned()),
            host: Some("h".to_owned()),
            port: Some(7),
            socket: Some("/s".to_owned()),
            ..Conf::default()
        }
    }

    #[test]
    fn the_url_comes_first_then_the_file_then_the_environment() {
        let all = combine(Some("mysql://a:b@c:1/d"), conf(), Some("e".into())).unwrap();
        assert_eq!((all.get_user(), all.get_pass()), (Some("a"), Some("b")));
        assert_eq!((&*all.get_ip_or_hostname(), all.get_tcp_port()), ("c", 1));
        assert_eq!((all.get_socket(), all.get_db_name()), (None, Some("d")));
        let filled = combine(Some("mysql://c"), conf(), Some("e".into())).unwrap();
        assert_eq!((filled.get_user(), filled.get_pass()), (Some("u"), Some("p")));
        assert_eq!(filled.get_tcp_port(), 3306);
        let last = combine(Some("mysql://a@c"), Conf::default(), Some("e".into())).unwrap();
        assert_eq!(last.get_pass(), Some("e"));
    }

    #[test]
    fn what_the_url_says_of_tls_is_not_replaced() {
        let ssl = SslOpts::default().with_danger_skip_domain_validation(true);
        let opts: Opts = OptsBuilder::from_opts(Opts::from_url("mysql://u@h").unwrap())
            .ssl_opts(Some(ssl.clone()))
            .into();
        let any = Tls::new().danger_accept_any_certificate(true);
        let kept = with_tls(opts.clone(), Some(&any), false).unwrap();
        assert_eq!(kept.get_ssl_opts(), Some(&ssl));
        let error = with_tls(opts, Some(&any), true).unwrap_err();
        assert!(error.contains("--ssl"), "{error}");
    }

    #[test]
    fn without_a_url_the_file_says_where() {
        let remote = combine(None, conf(), None).unwrap();
        assert_eq!((&*remote.get_ip_or_hostname(), remote.get_tcp_port()), ("h", 7));
        assert_eq!(remote.get_socket(), None);
        let local = Conf { host: Some("localhost".to_owned()), ..conf() };
        assert_eq!(combine(None, local, None).unwrap().get_socket(), Some("/s"));
        assert!(combine(None, Conf::default(), None).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for url in
            ["mysql://a:hidden@c:x/d", "http://a:hidden@c", "hidden", "mysql://a:hidden@c?x=1"]
        {
            let error = combine(Some(url), Conf::default(), None).unwrap_err();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
