//! `corectl pki`: a cluster's own authority.
//!
//! **Exit status**: 0, it is so or was done. 1, something is due, ended, damaged or could not be renewed. 2, it could not be done.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Subcommand;
use corectl::pki::{
    InitOptions, IssueOptions, KeyFiles, LeafName, PkiFolder, PkiPicture, RenewOptions, RenewOutcome, RenewReport,
    RenewedLeaf, RevokeTarget, RotationStep, TicketKeyChange, change_ticket_keys, init, span,
};
use corectl::printable::printable;
use corelane_pki::{CertificateRecord, HolderRole, SubjectNames};
use rustix::time::{ClockId, clock_gettime};

/// Shorter is no certificate but a mistake.
const LIFETIME_MIN: Duration = Duration::from_secs(3600);

/// Longer outlives the strength of its key.
const LIFETIME_MAX: Duration = Duration::from_secs(20 * 366 * 86_400);

/// What stands below the options.
pub(crate) const EXAMPLES: &str = "\
Examples:
  corectl pki init --cluster blue
  corectl pki issue node 1 --name node1.example.org --ip 10.0.0.1
  corectl pki issue edge a --ip 10.0.0.9
  corectl pki issue operator alice
  corectl pki show
  corectl pki renew
  corectl pki revoke node-1
  corectl pki rotate-ca begin
  corectl pki ticket-keys --rotate";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The folder of the authority and its certificates
    #[arg(long, value_name = "DIR", default_value = "pki", global = true)]
    dir: PathBuf,
    /// The file of the authority's key, if it is kept elsewhere; may be given more than once, while an authority is rotated
    #[arg(long = "ca-key", value_name = "FILE", global = true)]
    ca_key: Vec<PathBuf>,
    #[command(subcommand)]
    verb: PkiVerb,
}

#[derive(Subcommand)]
enum PkiVerb {
    /// Make the authority of a cluster, and the folder
    ///
    /// Exit status 2: something is there already, and is left as it is.
    Init {
        /// The cluster's name, as in its topology
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// How long the authority holds
        #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = lifetime)]
        lifetime: Duration,
    },
    /// Issue a certificate: ROLE-ID.pem and ROLE-ID.key
    ///
    /// A node's id is its number in the topology; edges and operators have names. The names and addresses are those that clients
    /// connect to; a server (a public or an admin listener) needs at least one.
    Issue {
        /// edge, node, operator or server
        role: HolderRole,
        /// Its id: a node's number, else a name
        id: String,
        /// A DNS name; may be given more than once
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// An IP address; may be given more than once
        #[arg(long = "ip", value_name = "ADDRESS")]
        addresses: Vec<IpAddr>,
        /// How long it holds; it ends with the authority at the latest
        #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
        lifetime: Duration,
        /// Also when there is one of that name: it is replaced
        #[arg(long)]
        replace: bool,
    },
    /// Renew certificates that are due: a third of the lifetime is left, or another authority issues now
    ///
    /// A renewed certificate has the same names and another key. Revocation lists that are due are made anew as well. Meant to be
    /// called once a day. Exit status 1: a certificate could not be renewed, or is named and revoked; the others were.
    Renew {
        /// Which ones (ROLE-ID); all, if none is named
        names: Vec<LeafName>,
        /// All of them
        #[arg(long, conflicts_with = "names")]
        all: bool,
        /// Also those that are not due, and those that are named and revoked; needs names or --all
        #[arg(long)]
        force: bool,
        /// Another lifetime than before
        #[arg(long, value_name = "TIME", value_parser = lifetime)]
        lifetime: Option<Duration>,
    },
    /// Revoke certificates: crl.pem names them, and verifiers that have it refuse them
    ///
    /// A name stands for every certificate that was issued under it and has not ended: after a theft nobody knows which key was
    /// copied. `renew --force ROLE-ID` makes a new one.
    Revoke {
        /// Which ones (ROLE-ID)
        #[arg(required_unless_present = "serials")]
        names: Vec<LeafName>,
        /// One certificate, by its serial number or the first eight digits or more of it
        #[arg(long = "serial", value_name = "SERIAL")]
        serials: Vec<String>,
    },
    /// Print what there is, and what has to be done
    ///
    /// Exit status 1: something is due, ended or damaged.
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Replace the authority, in three steps; bring the files to every host before the next one
    #[command(subcommand)]
    RotateCa(RotateVerb),
    /// Make the file of ticket keys that a fleet shares, or put a new key in front
    ///
    /// The file needs no authority. Rotate once in half the time a ticket holds, or less often, and bring the file to every host each
    /// time: a key seals tickets from the second rotation on that it is in the file.
    TicketKeys {
        /// Put a new key in front; the oldest of more than three is dropped
        #[arg(long)]
        rotate: bool,
        /// The file; ticket.keys in the folder, if none is given
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum RotateVerb {
    /// 1: make the next authority; ca.pem and crl.pem have both. The old one still issues
    Begin {
        /// How long the next authority holds
        #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = lifetime)]
        lifetime: Duration,
        /// Where its key is put, if not into the folder
        #[arg(long, value_name = "FILE")]
        new_ca_key: Option<PathBuf>,
    },
    /// 2: the next authority issues; `renew` replaces all certificates then
    Switch,
    /// 3: trust the old authority no more, and remove its key
    Finish {
        /// Also when certificates of it have not ended
        #[arg(long)]
        force: bool,
    },
    /// Take `begin` back
    Abort,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let fits = (LIFETIME_MIN..=LIFETIME_MAX).contains(&lifetime);
    if fits { Ok(lifetime) } else { Err("1h to 20 years".to_owned()) }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let session =
        PkiSession { options, now: u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default() };
    match &options.verb {
        PkiVerb::Init { cluster, lifetime } => session.init(cluster, *lifetime),
        PkiVerb::Issue { role, id, names, addresses, lifetime, replace } => session.issue(&IssueOptions {
            name: LeafName::new(*role, id)?,
            names: SubjectNames::new(names, addresses)?,
            lifetime: *lifetime,
            replace: *replace,
        }),
        PkiVerb::Renew { names, all, force, lifetime } => {
            if *force && names.is_empty() && !all {
                bail!("--force renews also what is not due: name certificates, or give --all");
            }
            session.renew(&RenewOptions { names: names.clone(), force: *force, lifetime: *lifetime })
        }
        PkiVerb::Revoke { names, serials } => {
            let names = names.iter().cloned().map(RevokeTarget::Name);
            session.revoke(&names.chain(serials.iter().cloned().map(RevokeTarget::Serial)).collect::<Vec<_>>())
        }
        PkiVerb::Show { json } => session.show(*json),
        PkiVerb::RotateCa(verb) => session.rotate(verb),
        PkiVerb::TicketKeys { rotate, file } => session.ticket_keys(*rotate, file.as_deref()),
    }
}

/// What all verbs need.
struct PkiSession<'a> {
    options: &'a Options,
    /// Seconds since 1970.
    now: u64,
}

impl PkiSession<'_> {
    fn open(&self) -> Result<PkiFolder> {
        Ok(PkiFolder::open(&self.options.dir, KeyFiles(self.options.ca_key.clone()), self.now)?)
    }

    fn init(&self, cluster: &str, lifetime: Duration) -> Result<ExitCode> {
        let Options { dir, ca_key, .. } = self.options;
        if ca_key.len() > 1 {
            bail!("--ca-key: one file for the key of the new authority");
        }
        let ca_key = ca_key.first().cloned();
        let options = InitOptions { cluster: cluster.to_owned(), lifetime, ca_key: ca_key.clone(), now: self.now };
        let record = init(dir, &options)?;
        let id = record.key_id.short();
        println!(
            "made: authority {id} of cluster {cluster}, holds for {}",
            span(record.validity.seconds_left(self.now))
        );
        let key = ca_key.unwrap_or_else(|| dir.join("ca").join(format!("{id}.key")));
        println!(
            "its key: {}; who has it can be anyone in the cluster: keep a copy where no host reads it",
            key.display()
        );
        println!("for every host: {} and {}", dir.join("ca.pem").display(), dir.join("crl.pem").display());
        Ok(ExitCode::SUCCESS)
    }

    fn issue(&self, options: &IssueOptions) -> Result<ExitCode> {
        let record = self.open()?.issue(options)?;
        println!("issued: {}", self.described(&options.name, &record));
        let stem = self.options.dir.join(options.name.to_string());
        println!("for its host: {0}.pem and {0}.key", stem.display());
        Ok(ExitCode::SUCCESS)
    }

    fn renew(&self, options: &RenewOptions) -> Result<ExitCode> {
        let RenewReport { leaves, lists_fault } = self.open()?.renew(options)?;
        let (mut renewed, mut failed) = (0_usize, 0_usize);
        for RenewedLeaf { name, outcome } in &leaves {
            match outcome {
                RenewOutcome::Renewed(record) => {
                    renewed += 1;
                    println!("renewed: {}", self.described(name, record));
                }
                RenewOutcome::NotDue { seconds_left } => println!("not due: {name}, {} left", span(*seconds_left)),
                RenewOutcome::Revoked => {
                    // That others are revoked is as it was meant to be.
                    failed += usize::from(!options.names.is_empty());
                    println!("revoked: {name} is not renewed unless it is named with --force");
                }
                RenewOutcome::Failed(fault) => {
                    failed += 1;
                    eprintln!("failed: {name}: {}", printable(&fault.to_string()));
                }
            }
        }
        if let Some(fault) = lists_fault {
            failed += 1;
            eprintln!("failed: {}: {}", self.file("crl.pem"), printable(&fault.to_string()));
        }
        if leaves.is_empty() {
            println!("there are no certificates in {}", self.options.dir.display());
        }
        if renewed > 0 {
            println!("bring the new files to their hosts: processes take them without a restart");
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn revoke(&self, targets: &[RevokeTarget]) -> Result<ExitCode> {
        let revoked = self.open()?.revoke(targets)?;
        for (name, serial) in &revoked {
            println!("revoked: {name}, serial {serial}");
        }
        if revoked.is_empty() {
            println!("all of them were revoked already");
        } else {
            println!("bring {} to every host: what is revoked is refused from then on", self.file("crl.pem"));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, json: bool) -> Result<ExitCode> {
        let picture = PkiPicture::of(&self.options.dir, self.now)?;
        if json {
            println!("{}", serde_json::to_string_pretty(&picture)?);
        } else {
            print!("{}", printable(&picture.text()));
        }
        Ok(if picture.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn rotate(&self, verb: &RotateVerb) -> Result<ExitCode> {
        let step = match verb {
            RotateVerb::Begin { lifetime, new_ca_key } => {
                RotationStep::Begin { lifetime: *lifetime, new_ca_key: new_ca_key.clone() }
            }
            RotateVerb::Switch => RotationStep::Switch,
            RotateVerb::Finish { force } => RotationStep::Finish { force: *force },
            RotateVerb::Abort => RotationStep::Abort,
        };
        let id = self.open()?.rotate(&step)?.key_id.short();
        let (bundle, lists) = (self.file("ca.pem"), self.file("crl.pem"));
        let next = |done: &str, then: &str| println!("{done}\nnext: {then}");
        match verb {
            RotateVerb::Begin { .. } => next(
                &format!("made: authority {id}; {bundle} and {lists} have both"),
                "bring both files to every host, and then `corectl pki rotate-ca switch`",
            ),
            RotateVerb::Switch => next(
                &format!("authority {id} issues now"),
                "`corectl pki renew`, bring the certificates to their hosts, and then `corectl pki rotate-ca finish`",
            ),
            RotateVerb::Finish { .. } | RotateVerb::Abort => next(
                &format!("authority {id} is no longer in {bundle} and {lists}"),
                "bring both files to every host; a copy of its key that is kept elsewhere can be destroyed",
            ),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn ticket_keys(&self, rotate: bool, file: Option<&Path>) -> Result<ExitCode> {
        let inside = self.options.dir.join("ticket.keys");
        let path = file.unwrap_or(&inside);
        let change = if rotate { TicketKeyChange::Rotate } else { TicketKeyChange::Make };
        let count = change_ticket_keys(path, change, self.now)?;
        let done = if rotate { "rotated" } else { "made" };
        println!("{done}: {}, {count} keys", path.display());
        println!("bring it to every host before it is rotated again");
        Ok(ExitCode::SUCCESS)
    }

    fn file(&self, name: &str) -> String {
        self.options.dir.join(name).display().to_string()
    }

    fn described(&self, name: &LeafName, record: &CertificateRecord) -> String {
        let (left, serial) = (span(record.validity.seconds_left(self.now)), &record.serial);
        format!("{name}, holds for {left}, serial {serial}")
    }
}
