//! What is installed on a host, the damaged releases among it.
//!
//! **Invariants**: one damaged release keeps no other from being listed.

use super::ReleaseStore;
use crate::ReleaseError;
use crate::manifest::ReleaseManifest;
use crate::sum::Sha256Sum;

/// What there is on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The releases, the latest first.
    pub releases: Vec<ListedRelease>,
    /// What is wrong with `current`, so that none of them is the one that a start runs.
    pub fault: Option<String>,
}

/// A release on the host, whose manifest may not be readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRelease {
    /// What it is called.
    pub digest: Sha256Sum,
    /// Whether a start runs it.
    pub is_current: bool,
    /// What it is; why that cannot be said, with the remedy, where its folder is damaged or gone.
    pub manifest: Result<ReleaseManifest, String>,
}

impl ReleaseStore {
    /// What is installed, the latest first; what is damaged is in it with a word on how to mend it.
    ///
    /// # Errors
    /// The operator's: the folder cannot be read.
    pub fn list(&self) -> Result<Listing, ReleaseError> {
        let (current, fault) = match self.current() {
            Ok(current) => (current, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let installed = self.installed()?;
        let mut digests: Vec<Sha256Sum> =
            self.history()?.others(current).filter(|one| installed.contains(one)).collect();
        digests.extend(
            installed
                .iter()
                .filter(|one| !digests.contains(one) && Some(**one) != current)
                .copied()
                .collect::<Vec<_>>(),
        );
        let releases = current.into_iter().chain(digests).map(|digest| ListedRelease {
            digest,
            is_current: current == Some(digest),
            manifest: self
                .manifest(digest)
                .map_err(|error| format!("{error}; install that release again, which mends it")),
        });
        Ok(Listing { releases: releases.collect(), fault })
    }
}
