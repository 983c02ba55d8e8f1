//! Public keys that an operator trusts, and the signatures they are held against.
//!
//! **Not**: secret keys. A host never has one.
//!
//! **Invariants**: only signatures over a hash of the whole are taken (minisign's present form, not the legacy one).
//!
//! **Source**: minisign's file formats.

use std::path::{Path, PathBuf};

use minisign_verify::{Error as MinisignError, PublicKey, Signature};

use crate::ReleaseError;
use crate::bundle::read_bounded;

/// Largest file of a key or a signature, in bytes; those of minisign have about 200.
const TEXT_BYTES_MAX: u64 = 8 * 1024;

/// Keys of which any may have signed: more than one while a key is replaced.
pub struct TrustedKeys(Vec<(PathBuf, PublicKey)>);

impl TrustedKeys {
    /// Reads each file's key.
    ///
    /// # Errors
    /// The operator's: no file is named, one cannot be read, or is no public key.
    pub fn read<P: AsRef<Path>>(files: &[P]) -> Result<Self, ReleaseError> {
        let mut keys = Vec::new();
        for file in files {
            let path = file.as_ref().to_path_buf();
            if !path.exists() {
                return Err(ReleaseError::NoKey { path });
            }
            let text = read_text(&path)?;
            let key = PublicKey::decode(&text)
                .map_err(|error| ReleaseError::Keys { path: path.clone(), reason: error.to_string() })?;
            keys.push((path, key));
        }
        if keys.is_empty() {
            return Err(ReleaseError::Keys { path: PathBuf::new(), reason: "no file is named".to_owned() });
        }
        Ok(Self(keys))
    }

    /// Checks that one of the keys made `signature` over `signed`.
    ///
    /// # Errors
    /// Whoever made or changed the release: the signature is missing, is none, is somebody else's, or does not fit.
    pub fn check(&self, manifest: &Path, signed: &[u8], signature: &Path) -> Result<String, ReleaseError> {
        if !signature.exists() {
            return Err(ReleaseError::Unsigned { manifest: manifest.into(), signature: signature.into() });
        }
        let text = read_text(signature)?;
        let parsed = Signature::decode(&text)
            .map_err(|error| ReleaseError::SignatureForm { path: signature.into(), reason: error.to_string() })?;
        for (_, key) in &self.0 {
            match key.verify(signed, &parsed, false) {
                Ok(()) => return Ok(text),
                Err(MinisignError::UnexpectedKeyId) => {}
                Err(MinisignError::InvalidSignature) => {
                    return Err(ReleaseError::SignatureWrong {
                        manifest: manifest.into(),
                        signature: signature.into(),
                    });
                }
                Err(error) => {
                    return Err(ReleaseError::SignatureForm { path: signature.into(), reason: error.to_string() });
                }
            }
        }
        let trusted: Vec<_> = self.0.iter().map(|(path, _)| path.display().to_string()).collect();
        Err(ReleaseError::UnknownSigner { path: signature.into(), trusted: trusted.join(", ") })
    }
}

fn read_text(path: &Path) -> Result<String, ReleaseError> {
    let bytes = read_bounded(path, TEXT_BYTES_MAX)?;
    // What is not UTF-8 is no key and no signature, which the parser says.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
