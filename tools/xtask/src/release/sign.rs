//! Signing what was made, with a key that stays where it is.
//!
//! **Invariants**: a signature is checked before it is written; nothing of the secret is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use corelane_release::bundle::ARCHIVE_SUFFIX;
use corelane_release::manifest::SIGNATURE_SUFFIX;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

/// A secret key.
pub(super) struct Signer(SecretKey);

impl Signer {
    /// Reads a file of minisign; asks for the password of a key that has one.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{} could not be read", path.display()))?;
        let wrong = || format!("{}: no secret key of minisign", path.display());
        let key = match without_password(&text).with_context(wrong)? {
            Some(key) => key,
            None => SecretKeyBox::from_string(&text)?.into_secret_key(None).with_context(wrong)?,
        };
        Ok(Self(key))
    }

    /// A new key without a password, whose public half is written to `public`.
    pub(super) fn of_new_key(public: &Path) -> Result<Self> {
        let pair = KeyPair::generate_unencrypted_keypair()?;
        fs::write(public, pair.pk.to_box()?.to_string())
            .with_context(|| format!("{} could not be written", public.display()))?;
        Ok(Self(pair.sk))
    }

    /// Signs each file but the archive, whose sum the manifest has.
    pub(super) fn sign_all(&self, files: &[PathBuf]) -> Result<()> {
        for file in files.iter().filter(|file| !file.to_string_lossy().ends_with(ARCHIVE_SUFFIX)) {
            let signature = self.sign(file)?;
            let path = format!("{}{SIGNATURE_SUFFIX}", file.display());
            fs::write(&path, signature).with_context(|| format!("{path} could not be written"))?;
            println!("signed: {path}");
        }
        Ok(())
    }

    fn sign(&self, file: &Path) -> Result<String> {
        let bytes = fs::read(file)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let comment = format!("file:{name}");
        let public = PublicKey::from_secret_key(&self.0)?;
        let signature = minisign::sign(Some(&public), &self.0, bytes.as_slice(), Some(&comment), None)?;
        let text = signature.to_string();
        let verifier = minisign_verify::PublicKey::from_base64(&public.to_base64())?;
        verifier.verify(&bytes, &minisign_verify::Signature::decode(&text)?, false)?;
        Ok(text)
    }
}

/// The key in a file without a password; `None` where it has one. The library refuses those that minisign 0.11 writes, which have
/// no sum of their own; a damaged key is found by the signature, which is verified.
fn without_password(text: &str) -> Result<Option<SecretKey>> {
    let line = text.lines().nth(1).context("it has no second line")?;
    let bytes = BASE64_STANDARD.decode(line.trim()).context("its second line is not base64")?;
    let derivation = bytes.get(2..4).context("it is too short")?;
    if derivation != [0, 0] {
        return Ok(None);
    }
    Ok(Some(SecretKey::from_bytes(&bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_without_a_password_signs_and_another_file_is_no_key() {
        let folder = std::env::temp_dir().join(format!("corelane-xtask-sign-{}", std::process::id()));
        fs::create_dir(&folder).expect("a new folder");
        let pair = KeyPair::generate_unencrypted_keypair().expect("a key");
        let key = folder.join("key");
        fs::write(&key, pair.sk.to_box(None).expect("a box").to_string()).expect("written");
        let file = folder.join("a.json");
        fs::write(&file, "{}").expect("written");
        let signer = Signer::read(&key).expect("a key");
        signer.sign_all(&[file.clone(), folder.join("missing.tar.zst")]).expect("signed");
        let text = fs::read_to_string(folder.join("a.json.minisig")).expect("written");
        assert!(text.contains("trusted comment: file:a.json"), "{text}");
        let error = Signer::read(&file).err().expect("no key").to_string();
        assert!(error.contains("a.json: no secret key"), "{error}");
        fs::remove_dir_all(folder).expect("removed");
    }
}
