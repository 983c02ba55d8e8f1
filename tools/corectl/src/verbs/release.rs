//! `corectl release`: what is installed, whether it is what its maker signed, and the way back.
//!
//! **Exit status**: 0, it is so or was done. 1, it was refused: changed, not signed, older. 2, it could not be done.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use corectl::printable::printable;
use corelane_release::ReleaseError;
use corelane_release::bundle::VerifiedRelease;
use corelane_release::keys::TrustedKeys;
use corelane_release::store::{
    CONFIGURATION, Downgrade, InstalledRelease, ListedRelease, Listing, ROOT, ReleaseStore, Switched,
};

/// Where a host keeps the public key that it trusts.
const KEY: &str = "/etc/corelane/release.pub";

/// Digits of a digest that are printed in lists; as many as nobody meets twice.
const SHORT_DIGITS: usize = 12;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where releases are installed
    #[arg(long, value_name = "DIR", default_value = ROOT, global = true)]
    root: PathBuf,
    /// The configuration that is saved with a release and comes back with it
    #[arg(long, value_name = "DIR", default_value = CONFIGURATION, global = true)]
    configuration: PathBuf,
    #[command(subcommand)]
    verb: ReleaseVerb,
}

#[derive(Subcommand)]
enum ReleaseVerb {
    /// Check a release before it is installed, or one that is: signature, archive and every file
    ///
    /// Exit status 1: it is not what its maker signed, and the file that is not is named.
    Verify {
        /// A manifest or an archive; the first digits of an installed release's digest; or `current`
        release: String,
        #[command(flatten)]
        keys: KeyOptions,
    },
    /// Verify a release, install it beside the others, and make it the one that a start runs; starts and restarts nothing
    ///
    /// Exit status 1: it was refused, and what is current stays current.
    Install {
        /// Its manifest or its archive; the other one and the signature lie beside it
        file: PathBuf,
        /// Also when it is older than the current one
        #[arg(long)]
        allow_downgrade: bool,
        #[command(flatten)]
        keys: KeyOptions,
    },
    /// Print what is installed, the latest first; a star marks what a start runs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the release before the current one current again, with the configuration it had; starts and restarts nothing
    ///
    /// Exit status 1: it is not what was signed. 2: there is none.
    Rollback {
        /// The first digits of another release's digest
        digest: Option<String>,
    },
}

#[derive(clap::Args)]
struct KeyOptions {
    /// A public key of minisign that is trusted; may be given more than once
    #[arg(long = "key", value_name = "FILE", default_values = [KEY])]
    keys: Vec<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let store = ReleaseStore::new(&options.root, &options.configuration);
    match act(&store, &options.verb) {
        Ok(text) => {
            print!("{}", printable(&text));
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_refusal(&error) => {
            eprintln!("refused: {}", printable(&error.to_string()));
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

fn act(store: &ReleaseStore, verb: &ReleaseVerb) -> Result<String, ReleaseError> {
    match verb {
        ReleaseVerb::Verify { release, keys } => {
            let keys = TrustedKeys::read(&keys.keys)?;
            let path = PathBuf::from(release);
            if !path.is_file() {
                let outcome = store.verify(release, &keys).inspect_err(advise);
                let release = outcome.map_err(or_file)?;
                return Ok(format!("as signed: {}\n", described(&release)));
            }
            let mut release = VerifiedRelease::open(&path, &keys)?;
            release.check_contents()?;
            let (digest, manifest) = (release.digest, release.manifest);
            Ok(format!("as signed: {}\n", described(&InstalledRelease { digest, manifest, is_current: false })))
        }
        ReleaseVerb::Install { file, allow_downgrade, keys } => {
            let keys = TrustedKeys::read(&keys.keys)?;
            let downgrade = if *allow_downgrade { Downgrade::Allowed } else { Downgrade::Refused };
            store.install(&mut VerifiedRelease::open(file, &keys)?, downgrade).map(|switched| switched_text(&switched))
        }
        ReleaseVerb::List { json } => {
            let listing = store.list()?;
            if let Some(fault) = &listing.fault {
                eprintln!("damaged: {}", printable(fault));
            } else if listing.releases.is_empty() {
                eprintln!("nothing is installed in {}", store.releases().display());
            }
            Ok(if *json { list_json(&listing) } else { listing.releases.iter().map(listed).collect() })
        }
        ReleaseVerb::Rollback { digest } => {
            let outcome = store.rollback(digest.as_deref()).inspect_err(advise);
            outcome.map(|switched| switched_text(&switched))
        }
    }
}

/// What is said of a name that is no release's: it was meant as a file, perhaps.
fn or_file(error: ReleaseError) -> ReleaseError {
    match error {
        ReleaseError::NotFound { wanted, reason } if wanted != "current" => {
            ReleaseError::NotFound { wanted, reason: format!("no such file, and {reason}") }
        }
        error => error,
    }
}

/// What to do about an installed release that is not as it was signed, or lacks a file.
fn advise(error: &ReleaseError) {
    let lacks_file = matches!(error, ReleaseError::Io { cause, .. } if cause.kind() == ErrorKind::NotFound);
    if lacks_file || is_refusal(error) {
        eprintln!(
            "to mend an installed release, install the same one again; `corectl release rollback DIGEST` takes another"
        );
    }
}

/// Whether the release was refused, and not the operator hindered.
fn is_refusal(error: &ReleaseError) -> bool {
    use ReleaseError::{Archive, Changed, Downgrade, Entry, Escapes, Manifest, SignatureForm, SignatureWrong, Target};
    use ReleaseError::{UnknownSigner, Unsigned};
    matches!(
        error,
        Archive { .. }
            | Changed { .. }
            | Downgrade { .. }
            | Entry { .. }
            | Escapes { .. }
            | Manifest { .. }
            | SignatureForm { .. }
            | SignatureWrong { .. }
            | Target { .. }
            | UnknownSigner { .. }
            | Unsigned { .. }
    )
}

fn described(release: &InstalledRelease) -> String {
    let InstalledRelease { digest, manifest, is_current } = release;
    let mark = if *is_current { "*" } else { " " };
    format!("{mark} {} {:8} {}", &digest.to_string()[..SHORT_DIGITS], manifest.version.to_string(), manifest.commit)
}

/// A line of the list.
fn listed(release: &ListedRelease) -> String {
    let ListedRelease { digest, is_current, manifest } = release;
    match manifest {
        Ok(manifest) => {
            described(&InstalledRelease { digest: *digest, manifest: manifest.clone(), is_current: *is_current }) + "\n"
        }
        Err(fault) => {
            let mark = if *is_current { "*" } else { " " };
            format!("{mark} {} damaged: {fault}\n", &digest.to_string()[..SHORT_DIGITS])
        }
    }
}

fn switched_text(switched: &Switched) -> String {
    let mut text = format!("current: {}\n", described(&switched.current));
    if let Some(fault) = &switched.repaired {
        text += &format!("made good: what was installed had been changed: {fault}\n");
    }
    for digest in &switched.removed {
        text += &format!("removed: {digest}\n");
    }
    for path in &switched.configuration {
        text += &format!("put back with it: {}\n", path.display());
    }
    if switched.previous != Some(switched.current.digest) {
        text +=
            "to run it: systemctl daemon-reload, then systemctl restart of what runs here (corelane, shardstored)\n";
    }
    text
}

fn list_json(listing: &Listing) -> String {
    let entry = |release: &ListedRelease| {
        let manifest = release.manifest.as_ref().ok();
        serde_json::json!({
            "digest": release.digest.to_string(),
            "current": release.is_current,
            "version": manifest.map(|manifest| manifest.version.to_string()),
            "commit": manifest.map(|manifest| &manifest.commit),
            "commit_time": manifest.map(|manifest| manifest.commit_time),
            "target": manifest.map(|manifest| &manifest.target),
            "damaged": release.manifest.as_ref().err(),
        })
    };
    let list: Vec<_> = listing.releases.iter().map(entry).collect();
    serde_json::Value::Array(list).to_string() + "\n"
}
