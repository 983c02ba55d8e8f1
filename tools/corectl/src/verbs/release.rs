//! `corectl release`: what is installed, whether it is what its maker signed, and the way back.
//!
//! **Exit status**: 0, it is so or was done. 1, it was refused: changed, not signed, older. 2, it could not be done.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use corelane_release::ReleaseError;
use corelane_release::bundle::VerifiedRelease;
use corelane_release::keys::TrustedKeys;
use corelane_release::store::{CONFIGURATION, Downgrade, InstalledRelease, ROOT, ReleaseStore, Switched};

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
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) if is_refusal(&error) => {
            eprintln!("refused: {error}");
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
                return Ok(format!("as signed: {}\n", described(&store.verify(release, &keys)?)));
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
            let installed = store.list()?;
            Ok(if *json { list_json(&installed) } else { installed.iter().map(|one| described(one) + "\n").collect() })
        }
        ReleaseVerb::Rollback { digest } => store.rollback(digest.as_deref()).map(|switched| switched_text(&switched)),
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

fn switched_text(switched: &Switched) -> String {
    let mut text = format!("current: {}\n", described(&switched.current));
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

fn list_json(installed: &[InstalledRelease]) -> String {
    let entry = |release: &InstalledRelease| {
        serde_json::json!({
            "digest": release.digest.to_string(),
            "current": release.is_current,
            "version": release.manifest.version.to_string(),
            "commit": release.manifest.commit,
            "commit_time": release.manifest.commit_time,
            "target": release.manifest.target,
        })
    };
    let list: Vec<_> = installed.iter().map(entry).collect();
    serde_json::Value::Array(list).to_string() + "\n"
}
