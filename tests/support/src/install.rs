//! Finding the server programs, and the data directory that every server starts from.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::builder::StartError;
use crate::flavor::Flavor;
use crate::server::PASSWORD;

/// A server program with what belongs to it.
#[derive(Debug)]
pub(crate) struct Install {
    flavor: Flavor,
    /// What to execute.
    program: PathBuf,
    /// The parent of the program's `bin`, `lib` and `share`.
    basedir: PathBuf,
    /// Where the template of the data directory is kept.
    home: PathBuf,
}

/// Where the workspace is: the servers are unpacked under its `target`, wherever cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    let support = Path::new(env!("CARGO_MANIFEST_DIR"));
    support.ancestors().nth(2).unwrap_or(support).join("target")
}

impl Install {
    pub(crate) fn find(flavor: Flavor) -> Result<Self, StartError> {
        let servers = target_dir().join("servers");
        let var = flavor.override_var();
        if let Some(path) = env::var_os(var).filter(|path| !path.is_empty()) {
            let program = fs::canonicalize(&path).map_err(|error| {
                StartError::Unavailable(format!("{var}={}: {error}", Path::new(&path).display()))
            })?;
            // Of another program the data directory is another one.
            let mut hasher = DefaultHasher::new();
            program.hash(&mut hasher);
            fs::metadata(&program).and_then(|meta| meta.modified()).ok().hash(&mut hasher);
            return Ok(Self {
                flavor,
                basedir: program.ancestors().nth(2).unwrap_or(Path::new("/usr")).to_path_buf(),
                home: servers.join(format!("own-{flavor}-{:016x}", hasher.finish())),
                program,
            });
        }
        let home = servers.join(flavor.name());
        // The stamp comes last when scripts/servers unpacks, so half a server is not taken for one.
        if !home.join(".recipe").exists() {
            return Err(StartError::Unavailable(format!(
                "no {flavor} server under {}: run `make servers` (or set {var})",
                servers.display()
            )));
        }
        Ok(Self {
            flavor,
            program: home.join("bin").join(flavor.program()),
            basedir: home.join("usr"),
            home,
        })
    }

    /// The program and the arguments it needs to find its own files.
    pub(crate) fn command(&self) -> Vec<OsString> {
        let mut args = vec![self.program.clone().into_os_string(), "--no-defaults".into()];
        let mut path = |option: &str, path: PathBuf| {
            if path.exists() {
                let mut arg = OsString::from(option);
                arg.push("=");
                arg.push(path);
                args.push(arg);
            }
        };
        path("--basedir", self.basedir.clone());
        path("--plugin-dir", self.basedir.join("lib/mysql/plugin"));
        let share = self.share();
        path("--lc-messages-dir", share.clone());
        path("--character-sets-dir", share.join("charsets"));
        if self.flavor == Flavor::Mysql {
            args.extend(["--secure-file-priv=NULL", "--mysqlx=OFF"].map(OsString::from));
        }
        if fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
            args.push("--user=root".into());
        }
        args
    }

    fn share(&self) -> PathBuf {
        let shares =
            ["share/mariadb", "share/mysql", "share"].map(|share| self.basedir.join(share));
        let found = shares.iter().find(|share| share.join("charsets").exists());
        found.unwrap_or(&shares[1]).clone()
    }

    /// Copies a fresh data directory to `dir`, which exists and is empty.
    pub(crate) fn copy_template(&self, dir: &Path, lower_case: bool) -> Result<()> {
        let template = self.template(lower_case)?;
        let status = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(template.join("."))
            .arg(dir)
            .status()
            .context("cannot run cp")?;
        if !status.success() {
            bail!("cannot copy {} to {}", template.display(), dir.display());
        }
        // The identity of a MySQL server; replication needs every server to have its own.
        match fs::remove_file(dir.join("auto.cnf")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The data directory as it is after installation, with a password for root: made once.
    fn template(&self, lower_case: bool) -> Result<PathBuf> {
        // MariaDB takes either setting at any start.
        let lower_case = lower_case && self.flavor == Flavor::Mysql;
        let name = if lower_case { "datadir-template-lower" } else { "datadir-template" };
        let template = self.home.join(name);
        if template.exists() {
            return Ok(template);
        }
        fs::create_dir_all(&self.home)?;
        let _lock = Lock::wait(&self.home.join("template.lock"))?;
        if template.exists() {
            return Ok(template);
        }
        let temp = tempfile::Builder::new().prefix("datadir-").tempdir_in(&self.home)?;
        let fresh = temp.path().join("data");
        fs::create_dir(&fresh)?;
        let log = temp.path().join("init.log");
        let init = match self.flavor {
            Flavor::Mysql => self.initialize_mysql(&fresh, &log, lower_case),
            Flavor::MariaDb | Flavor::MariaDb11 => self.initialize_mariadb(&fresh, &log),
        };
        init.with_context(|| {
            let text = fs::read_to_string(&log).unwrap_or_default();
            format!("cannot initialise a data directory for {}:\n{text}", self.flavor)
        })?;
        fs::rename(&fresh, &template)?;
        Ok(template)
    }

    fn initialize_mysql(&self, data: &Path, log: &Path, lower_case: bool) -> Result<()> {
        let sql = data.with_file_name("init.sql");
        // One statement a line: that is how the server reads it.
        fs::write(
            &sql,
            format!(
                "ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';\n\
                 CREATE USER root@'%' IDENTIFIED BY '{PASSWORD}';\n\
                 GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;\n"
            ),
        )?;
        let mut init_file = OsString::from("--init-file=");
        init_file.push(&sql);
        let extra =
            ["--initialize-insecure", "--disable-log-bin", "--innodb-redo-log-capacity=64M"];
        let mut command = self.initializer(data, log)?;
        command.args(extra).arg(init_file).stdin(Stdio::null());
        if lower_case {
            command.arg("--lower-case-table-names=1");
        }
        finish(command.spawn()?)
    }

    fn initialize_mariadb(&self, data: &Path, log: &Path) -> Result<()> {
        let mut sql = String::from(
            "CREATE DATABASE mysql;\nUSE mysql;\n\
             SET @auth_root_socket=NULL, @skip_auth_anonymous=1;\n",
        );
        for part in
            ["system_tables", "performance_tables", "system_tables_data", "gis", "sys_schema"]
        {
            sql.push_str(&self.mariadb_script(part)?);
            sql.push('\n');
        }
        sql.push_str(
            "DELETE FROM mysql.global_priv WHERE User <> 'mariadb.sys';\nFLUSH PRIVILEGES;\n",
        );
        for host in ["%", "localhost"] {
            sql.push_str(&format!(
                "GRANT ALL ON *.* TO root@'{host}' IDENTIFIED BY '{PASSWORD}' WITH GRANT OPTION;\n"
            ));
        }
        let mut command = self.initializer(data, log)?;
        command.args(["--bootstrap", "--skip-log-bin", "--innodb-log-file-size=64M"]);
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let fed = child.stdin.take().map(|mut stdin| stdin.write_all(sql.as_bytes()));
        finish(child)?;
        fed.transpose().context("the server did not read all of its tables' definitions")?;
        Ok(())
    }

    /// One of the scripts that `mariadb-install-db` feeds to the server.
    fn mariadb_script(&self, part: &str) -> Result<String> {
        let share = self.share();
        let names = match part {
            "gis" => vec!["maria_add_gis_sp_bootstrap.sql".to_owned()],
            part => vec![format!("mariadb_{part}.sql"), format!("mysql_{part}.sql")],
        };
        let found = names.iter().map(|name| share.join(name)).find(|path| path.exists());
        let path =
            found.with_context(|| format!("no {} in {}", names.join(" or "), share.display()))?;
        // Not all of it is text of one encoding.
        Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
    }

    fn initializer(&self, data: &Path, log: &Path) -> Result<Command> {
        let args = self.command();
        let (program, args) = args.split_first().context("no program")?;
        let mut datadir = OsString::from("--datadir=");
        datadir.push(data);
        let log = File::create(log)?;
        let mut command = Command::new(program);
        command
            .env("ONLINE_ALTER_NO_SYNC", "1")
            .args(args)
            .arg(datadir)
            .arg("--innodb-use-native-aio=OFF");
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }
}

fn finish(mut child: Child) -> Result<()> {
    let status = child.wait()?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    Ok(())
}

/// A file lock between processes, held by a child: `File::lock` is younger than our MSRV. If this
/// process dies, the child's input ends and the lock is free.
struct Lock(Child);

impl Lock {
    fn wait(path: &Path) -> Result<Self> {
        let mut child = Command::new("flock")
            .arg(path)
            .args(["-c", "echo; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run flock")?;
        if let Some(out) = child.stdout.as_mut() {
            out.read_exact(&mut [0]).context("cannot get the lock")?;
        }
        Ok(Self(child))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Nothing to do about a failure: the lock goes with the child anyway.
        let _ = self.0.wait();
    }
}
