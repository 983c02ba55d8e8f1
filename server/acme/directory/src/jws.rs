//! Signed requests, checked as an authority checks them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

/// A request whose signature is right.
pub(crate) struct Signed {
    pub(crate) header: Value,
    pub(crate) payload: Value,
    text: Vec<u8>,
    signature: Vec<u8>,
}

/// An account's public key.
#[derive(Clone, Debug)]
pub(crate) struct AccountKey {
    point: Vec<u8>,
    pub(crate) thumbprint: String,
}

pub(crate) fn decoded(text: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

impl Signed {
    pub(crate) fn read(body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap();
        let payload = decoded(&body["payload"]);
        Signed {
            header: serde_json::from_slice(&decoded(&body["protected"])).unwrap(),
            payload: if payload.is_empty() { Value::Null } else { serde_json::from_slice(&payload).unwrap() },
            text: format!("{}.{}", body["protected"].as_str().unwrap(), body["payload"].as_str().unwrap()).into_bytes(),
            signature: decoded(&body["signature"]),
        }
    }

    pub(crate) fn is_by(&self, key: &AccountKey) -> bool {
        self.header["alg"] == "ES256"
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.point).verify(&self.text, &self.signature).is_ok()
    }
}

impl AccountKey {
    pub(crate) fn read(jwk: &Value) -> Self {
        let point = [vec![4], decoded(&jwk["x"]), decoded(&jwk["y"])].concat();
        // RFC 7638: the members that are required, in order of their names, without spaces.
        let text = json!({ "crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"], "y": jwk["y"] }).to_string();
        let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        AccountKey { point, thumbprint }
    }
}
