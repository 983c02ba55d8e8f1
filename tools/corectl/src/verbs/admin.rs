//! Which process a verb asks, and who asks.
//!
//! **Not** asking.

use std::path::PathBuf;

use clap::Args;
use control::admin_client::OperatorPaths;
use control::settings::ListenAddress;

/// The options of verbs that ask a process.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdminOptions {
    /// Admin listener of the process: HOST:PORT, or unix: and a path
    #[arg(long, env = "CORELANE_ADMIN", default_value = "127.0.0.1:9180")]
    pub(crate) admin: ListenAddress,
    /// Ask over TLS, where the process has admin_tls: the authorities of its certificate in PEM, as cluster.ca has them
    #[arg(long, env = "CORECTL_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your operator's certificate in PEM, as `corectl pki issue operator NAME` makes it
    #[arg(long, env = "CORECTL_CERT", value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "CORECTL_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl AdminOptions {
    /// What the process is asked with, where that is over TLS.
    pub(crate) fn operator(&self) -> Option<OperatorPaths> {
        let pair = self.cert.clone().zip(self.key.clone()).map(|(chain, key)| [chain, key]);
        self.ca.clone().map(|ca| OperatorPaths { ca, pair })
    }
}
