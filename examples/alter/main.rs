//! Alters a table online, from the command line: `cargo run --release --example alter -- --help`.

#[path = "../common/bar.rs"]
mod bar;
#[path = "../common/column_map.rs"]
mod column_map;
#[path = "../common/mod.rs"]
mod common;
mod conf;
mod control;
mod exit;
mod flags;
mod follow;
mod hooks;
mod option_file;
mod platform;
mod server;
mod throttle;
mod tls;
mod topology;

use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use online_alter::mysql::Opts;
use online_alter::{
    ChunkSize, IndexBuild, KillBlockers, NativeAlter, OldTable, OnMismatch, OnlineAlter, Plan,
};

use crate::common::{Interrupts, say, warn};
use crate::control::{Socket, Target};
use crate::exit::Failure;
use crate::flags::{Flags, Indexes, Mismatch};
use crate::follow::{Brake, Told, Watch};
use crate::hooks::{About, Hooks};
use crate::topology::Place;

fn main() -> ExitCode {
    let flags = flags::parse();
    env_logger::Builder::new()
        .filter_level(flags.log_level())
        .parse_env(env_logger::Env::new().filter("RUST_LOG"))
        .target(bar::log_target())
        .init();
    match run(&flags) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}

fn run(flags: &Flags) -> Result<u8, Failure> {
    #[cfg(feature = "http")]
    flags.throttle.check().map_err(Failure::Usage)?;
    let given = server::opts(flags).map_err(Failure::Usage)?;
    if flags.database.is_none() && given.get_db_name().is_none() {
        return Err(Failure::Usage("which schema? Say --database or give it in --url".to_owned()));
    }
    let schema = flags.database.as_deref().or(given.get_db_name()).unwrap_or_default();
    let stream = server::stream_opts(flags, &given).map_err(Failure::Usage)?;
    let place = topology::place(flags, given.clone(), stream)?;
    let about = About {
        schema,
        table: &flags.table,
        alter: &flags.alter,
        host: &place.server.get_ip_or_hostname(),
        inspected: &place.inspected().get_ip_or_hostname(),
        executes: flags.execute,
    };
    let hooks = Hooks::new(&flags.hooks, about);
    hooks.call("startup", &[]).map_err(Failure::Refused)?;
    let result = alter(flags, &given, place, &hooks);
    let last = match result {
        Ok(exit::DONE) => hooks.succeeded(),
        _ => hooks.call("failure", &[]),
    };
    if let Err(why) = last {
        warn(why);
    }
    result
}

/// `given` are those of --url, as which control replicas are asked.
fn alter(flags: &Flags, given: &Opts, place: Place, hooks: &Hooks) -> Result<u8, Failure> {
    let (tell, notes) = mpsc::channel();
    let told = Told { notes: tell, hooks: hooks.clone() };
    let mut builder = builder(flags, &place.server, given).observer(told);
    let inspected = place.inspected().clone();
    if let Some(stream) = place.stream {
        builder = builder.stream_from(stream);
    }
    let plan = builder.plan()?;
    hooks.call("validated", &[]).map_err(Failure::Refused)?;
    let listen = || {
        let caught = Interrupts::listen();
        caught.map_err(|error| Failure::Refused(format!("signals cannot be caught: {error}")))
    };
    let panic_file = flags.panic_flag_file.as_deref();
    let check_panic_file = || match panic_file.filter(|file| file.exists()) {
        Some(file) => {
            Err(Failure::Refused(format!("{} is there: nothing is done", file.display())))
        }
        None => Ok(()),
    };
    if flags.noop {
        say(&plan);
        check_panic_file()?;
        let interrupts = listen()?;
        let rehearsal = plan.start_rehearsal()?;
        Brake::new(&interrupts, panic_file).follow(&rehearsal);
        say(rehearsal.join()?);
        return Ok(exit::DONE);
    }
    if !flags.execute {
        say(&plan);
        say("nothing is done yet: --execute does it");
        return Ok(exit::DONE);
    }
    check_renamed(flags, &plan)?;
    check_panic_file()?;
    if !flags.quiet {
        for warning in plan.warnings() {
            warn(format_args!("note: {warning}"));
        }
    }
    let interrupts = listen()?;
    let socket = flags.serve_socket_file.as_deref();
    let socket = socket.map(|path| Socket::bind(path, flags.initially_drop_socket_file));
    let socket = socket.transpose().map_err(Failure::Refused)?;
    let watch = Watch {
        brake: Brake::new(&interrupts, panic_file),
        notes,
        hooks: hooks.clone(),
        quiet: flags.quiet,
        // A bar between so many lines of a log helps nobody.
        plain: flags.plain || flags.verbose || flags.debug,
    };
    let handle = plan.start()?;
    let target = Target {
        handle: &handle,
        flags,
        server: &place.server,
        inspected: &inspected,
        given,
        hooks,
    };
    let aborted = control::serving(socket.as_ref(), target, || watch.follow(&handle));
    let result = handle.join();
    if aborted && result.is_ok() {
        warn("the table was swapped before the run could be aborted");
    }
    let report = result?;
    if report.native == Some(NativeAlter::Instant) {
        hooks.note_instant();
    }
    say(&report);
    let code = exit::code_of(&report);
    if code != exit::DONE {
        warn("the table is altered; compare the rows that are named above with the old table");
    }
    Ok(code)
}

fn builder(flags: &Flags, server: &Opts, given: &Opts) -> OnlineAlter {
    let seconds = flags.cut_over_lock_timeout_seconds;
    let mut alter = OnlineAlter::new(server.clone(), &flags.table)
        .alter(&flags.alter)
        .copy_workers(flags.copy_workers.into())
        .retries(flags.default_retries)
        .retry_for(Duration::from_secs(flags.retry_seconds))
        .cut_over_lock_timeout(Duration::from_secs(seconds))
        .exact_row_count(flags.exact_rowcount)
        .index_build(match flags.index_build {
            Indexes::Auto => IndexBuild::Auto,
            Indexes::Maintain => IndexBuild::Maintain,
            Indexes::AfterCopy => IndexBuild::AfterCopy,
        })
        .attempt_instant(flags.attempt_instant_ddl)
        .native_below_rows(flags.native_below_rows)
        .resume(flags.resume)
        .checkpoint_interval(Duration::from_secs(flags.checkpoint_seconds))
        .replace_ghost_table(flags.initially_drop_ghost_table)
        .replace_old_table(flags.initially_drop_old_table)
        .switch_to_row_format(flags.switch_to_rbr)
        .on_mismatch(match flags.on_mismatch {
            Mismatch::Repair => OnMismatch::Repair,
            Mismatch::Stop => OnMismatch::Stop,
        })
        .allow_zero_in_date(flags.allow_zero_in_date)
        .keep_foreign_keys(flags.keep_foreign_keys)
        .discard_foreign_keys(flags.discard_foreign_keys)
        .include_triggers(flags.include_triggers)
        .remove_trigger_suffix_if_exists(flags.remove_trigger_suffix_if_exists);
    if let Some(suffix) = &flags.trigger_suffix {
        alter = alter.trigger_suffix(suffix);
    }
    if let Some(map) = &flags.column_map {
        alter = alter.column_map(map.0.iter().map(|(old, new)| (old.as_str(), new.as_deref())));
    }
    if let Some(zone) = &flags.time_zone {
        alter = alter.time_zone(zone);
    }
    if let Some(schema) = &flags.database {
        alter = alter.schema(schema);
    }
    if let Some(group) = &flags.resource_group {
        alter = alter.resource_group(group);
    }
    if let Some(after_attempts) = flags.kill_blockers_after {
        alter = alter.kill_blockers(KillBlockers { after_attempts, ..KillBlockers::default() });
    }
    if let Some(rows) = flags.chunk_size {
        alter = alter.chunk_size(ChunkSize::Rows(rows));
    }
    if let Some(id) = flags.replica_server_id {
        alter = alter.server_id(id);
    }
    if flags.ok_to_drop_table {
        alter = alter.old_table(OldTable::Drop);
    }
    let file = flags.postpone_cut_over_flag_file.as_deref();
    alter = alter.postpone_cut_over(flags.throttle.postpone(file));
    let alter = flags.platform.apply(flags.topology.apply(alter));
    flags.throttle.apply(alter, given)
}

/// A column that is written as one dropped and one added loses its data, and one that is written as
/// renamed keeps it: a person should have looked at which of the two it is.
fn check_renamed(flags: &Flags, plan: &Plan) -> Result<(), Failure> {
    let renamed = plan.renamed_columns();
    if renamed.is_empty() || flags.approve_renamed_columns {
        return Ok(());
    }
    let list: Vec<String> = renamed.iter().map(|(old, new)| format!("{old} to {new}")).collect();
    Err(Failure::Refused(format!(
        "the ALTER renames columns: {}. If that is right, say --approve-renamed-columns",
        list.join(", ")
    )))
}
