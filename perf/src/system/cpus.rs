//! Which CPUs have the servers, and which the generator: what every verb that starts servers is told alike.
//!
//! **Invariants**: what has passed [`Cpus::check`] has a CPU for the generator that is not the servers'.

use anyhow::{Result, ensure};
use clap::Args;

/// The CPUs of a measurement.
#[derive(Args, Clone, Debug)]
pub(crate) struct Cpus {
    /// CPU of the servers
    #[arg(long = "server-cpu", value_name = "CPU", default_value_t = 0)]
    pub(crate) server: usize,
    /// CPUs of the generator
    #[arg(long = "client-cpus", value_name = "CPU", value_delimiter = ',', default_value = "1")]
    pub(crate) clients: Vec<usize>,
}

impl Cpus {
    pub(crate) fn check(&self) -> Result<()> {
        ensure!(
            !self.clients.contains(&self.server),
            "--server-cpu {} is also a CPU of the generator; a client costs as much as a server",
            self.server
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        cpus: Cpus,
    }

    #[test]
    fn servers_and_generator_have_cpus_of_their_own() {
        for (arguments, is_right) in [
            (&[][..], true),
            (&["--server-cpu", "2", "--client-cpus", "0,1"], true),
            (&["--server-cpu", "1"], false),
            (&["--client-cpus", "1,0"], false),
        ] {
            let cpus = Arguments::try_parse_from(["verb"].iter().chain(arguments)).expect("they are right").cpus;
            assert_eq!(cpus.check().is_ok(), is_right, "{arguments:?}");
            if let Err(error) = cpus.check() {
                assert!(error.to_string().contains(&format!("--server-cpu {}", cpus.server)), "{error}");
            }
        }
    }
}
