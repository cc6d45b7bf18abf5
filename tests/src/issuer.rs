//! A token issuer of our own: a key set over HTTP, and the tokens that its keys sign.

mod server;
mod token;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::Value;
use tokio::net::TcpListener;

pub use token::Token;

use crate::Result;
use crate::account::{self, Account};

/// The audience that [`Issuer::token`] names unless told otherwise.
pub const AUDIENCE: &str = "sumu-websocket";

/// A running issuer.
#[derive(Debug)]
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

/// What the server and the tests both touch.
#[derive(Debug)]
struct Shared {
    keys: Mutex<Ring>,
    fetches: AtomicU64,
    down: AtomicBool,
}

/// What is published: the keys that sign, and in the course of a rotation those that signed before.
#[derive(Clone, Debug)]
struct Ring {
    current: Keys,
    previous: Option<Keys>,
}

/// One key for each algorithm.
#[derive(Clone, Debug)]
struct Keys {
    rs256: Key,
    es256: Key,
}

#[derive(Clone)]
struct Key {
    id: String,
    signer: EncodingKey,
    public: Jwk,
    certificate: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Starts an issuer with an RS256 and an ES256 key on a free port, in the runtime that calls.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            keys: Mutex::new(Ring { current: Keys::generate(1)?, previous: None }),
            fetches: AtomicU64::new(0),
            down: AtomicBool::new(false),
        });
        let server = tokio::spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, server })
    }

    /// The same issuer with the keys that it has now where an account's functions reach them.
    ///
    /// They stay what they are: a story that rotates keys or takes the issuer down is not for an account.
    pub async fn published(mut self, account: &Account) -> Result<Self> {
        let keys = self.shared.jwks()?;
        self.url = account::issuer::publish(account.sdk(), &account.prefix(), &keys).await?;
        account::issuer::until_public(&reqwest::Client::new(), &self.url, &keys).await?;
        Ok(self)
    }

    /// The `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its JSON Web Key Set is.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/.well-known/jwks.json", self.url)
    }

    /// Where its RS256 key is as a map from key ids to certificates, the form that Firebase uses.
    #[must_use]
    pub fn x509_uri(&self) -> String {
        format!("{}/x509", self.url)
    }

    /// How often keys have been fetched, in either form.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// Puts new keys, with new ids, in place of the old ones.
    pub fn rotate(&self) -> Result<()> {
        self.publish_next()?;
        self.withdraw_previous();
        Ok(())
    }

    /// Signs with new keys from now on, and publishes them beside the old ones.
    pub fn publish_next(&self) -> Result<()> {
        let mut ring = self.shared.ring();
        let generation = ring.current.rs256.id.rsplit('-').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let retired = std::mem::replace(&mut ring.current, Keys::generate(generation + 1)?);
        ring.previous = Some(retired);
        Ok(())
    }

    /// Publishes the keys no more that have been replaced.
    pub fn withdraw_previous(&self) {
        self.shared.ring().previous = None;
    }

    /// Makes every fetch fail until told otherwise, or lets fetches succeed again.
    pub fn set_down(&self, down: bool) {
        self.shared.down.store(down, Ordering::Relaxed);
    }

    /// A good RS256 token for a user, to change and to sign.
    #[must_use]
    pub fn token(&self, user: &str) -> Token {
        Token::new(self.shared.ring().current.clone(), &self.url, user)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn jwks(&self) -> Result<Value> {
        let Ring { current, previous } = self.ring().clone();
        let published =
            std::iter::once(current).chain(previous).flat_map(|keys| [keys.rs256.public, keys.es256.public]);
        Ok(serde_json::to_value(JwkSet { keys: published.collect() })?)
    }

    fn x509(&self) -> Value {
        let Ring { current, previous } = self.ring().clone();
        let published = std::iter::once(current).chain(previous).map(|keys| keys.rs256);
        published.map(|key| (key.id, Value::from(key.certificate))).collect::<serde_json::Map<_, _>>().into()
    }
}

impl Keys {
    fn generate(generation: u32) -> Result<Self> {
        let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256)?;
        let signer = EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes())?;
        let rs256 = Key::new(format!("rs256-{generation}"), Algorithm::RS256, signer, &rsa)?;
        let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let signer = EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes())?;
        let es256 = Key::new(format!("es256-{generation}"), Algorithm::ES256, signer, &ec)?;
        Ok(Self { rs256, es256 })
    }
}

impl Key {
    fn new(id: String, algorithm: Algorithm, signer: EncodingKey, pair: &KeyPair) -> Result<Self> {
        let mut public = Jwk::from_encoding_key(&signer, algorithm)?;
        public.common.key_id = Some(id.clone());
        let certificate = CertificateParams::new(vec!["issuer.test".to_owned()])?.self_signed(pair)?.pem();
        Ok(Self { id, signer, public, certificate })
    }
}
