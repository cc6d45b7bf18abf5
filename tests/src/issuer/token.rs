//! Tokens, good ones and every kind of bad one.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Map, Value, json};

use super::{AUDIENCE, Keys};
use crate::Result;

/// A token to sign: good for an hour unless something is changed.
#[derive(Clone, Debug)]
pub struct Token {
    keys: Keys,
    algorithm: Algorithm,
    key_id: Option<String>,
    claims: Map<String, Value>,
}

impl Token {
    pub(super) fn new(keys: Keys, issuer: &str, user: &str) -> Self {
        let token = Self { key_id: Some(keys.rs256.id.clone()), keys, algorithm: Algorithm::RS256, claims: Map::new() };
        token
            .claim("iss", json!(issuer))
            .claim("sub", json!(user))
            .claim("aud", json!(AUDIENCE))
            .claim("iat", json!(now()))
            .expires_in(3600)
    }

    /// Signs with the ES256 key instead.
    #[must_use]
    pub fn es256(mut self) -> Self {
        self.algorithm = Algorithm::ES256;
        self.key_id = Some(self.keys.es256.id.clone());
        self
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims.insert(name.to_owned(), value);
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.remove(name);
        self
    }

    /// Sets `aud`.
    #[must_use]
    pub fn audience(self, audience: &str) -> Self {
        self.claim("aud", json!(audience))
    }

    /// Sets `iss`.
    #[must_use]
    pub fn issuer(self, issuer: &str) -> Self {
        self.claim("iss", json!(issuer))
    }

    /// Sets `exp` to so many seconds from now; a negative number makes an expired token.
    #[must_use]
    pub fn expires_in(self, seconds: i64) -> Self {
        self.claim("exp", json!(now() + seconds))
    }

    /// Sets `nbf` to so many seconds from now.
    #[must_use]
    pub fn not_before_in(self, seconds: i64) -> Self {
        self.claim("nbf", json!(now() + seconds))
    }

    /// Names another key in the header, or none, than the one that signs.
    #[must_use]
    pub fn key_id(mut self, id: Option<&str>) -> Self {
        self.key_id = id.map(ToOwned::to_owned);
        self
    }

    /// Signs with a key that the issuer had when the token was begun.
    pub fn sign(&self) -> Result<String> {
        let header = Header { kid: self.key_id.clone(), ..Header::new(self.algorithm) };
        let key = if self.algorithm == Algorithm::ES256 { &self.keys.es256 } else { &self.keys.rs256 };
        Ok(jsonwebtoken::encode(&header, &self.claims, &key.signer)?)
    }
}

/// Seconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
