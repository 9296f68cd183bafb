//! Flags about who runs the server.

use online_alter::{OnlineAlter, Platform};

#[derive(Debug, clap::Args)]
pub(crate) struct PlatformFlags {
    /// Who runs the server: none, rds, aurora, gcp or azure. The plan then lists what has to be looked at there.
    /// Default: found out, where the server says it
    #[arg(long, value_name = "NAME")]
    platform: Option<Platform>,

    /// The same as --platform gcp
    #[arg(long, conflicts_with_all = ["platform", "azure"])]
    gcp: bool,

    /// The same as --platform azure
    #[arg(long, conflicts_with = "platform")]
    azure: bool,

    /// Accepted and without effect: servers are told apart by their own ids, not by host and port
    #[arg(long)]
    aliyun_rds: bool,

    /// Accepted and without effect: replication is never restarted to see whether rows are written; a statement in
    /// the binary log stops the run
    #[arg(long)]
    assume_rbr: bool,
}

impl PlatformFlags {
    pub(crate) fn apply(&self, alter: OnlineAlter) -> OnlineAlter {
        let named = match (self.gcp, self.azure) {
            (true, _) => Some(Platform::CloudSql),
            (_, true) => Some(Platform::Azure),
            _ => self.platform,
        };
        match named {
            Some(platform) => alter.platform(platform),
            None => alter,
        }
    }
}
