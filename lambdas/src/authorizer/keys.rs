//! An issuer's public keys, and which algorithm each may be used with. Pure.
//!
//! Two documents are understood: a JWK set (RFC 7517), also with keys that name no algorithm, and a map from key id
//! to X.509 certificate in PEM, as Firebase has it. A key that cannot be used is left out: it must not take the
//! others with it.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::{Map, Value};
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

use super::signature::{Algorithm, Curve, Verifier};
use super::token::Signed;

/// Some issuers pad what RFC 7518 wants unpadded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One public key.
#[derive(Clone, Debug)]
pub struct Key {
    id: Option<String>,
    /// One for each algorithm that the key may be used with; at least one.
    verifiers: Vec<Verifier>,
}

impl Key {
    /// What verifies signatures of this algorithm, if the key is for it.
    #[must_use]
    pub fn verifier(&self, algorithm: Algorithm) -> Option<&Verifier> {
        self.verifiers.iter().find(|verifier| verifier.algorithm() == algorithm)
    }

    fn of(id: Option<String>, verifiers: Vec<Verifier>) -> Option<Self> {
        (!verifiers.is_empty()).then_some(Self { id, verifiers })
    }
}

/// All usable keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

/// The document is neither of the two that are understood.
#[derive(Debug, thiserror::Error)]
pub enum KeyDocumentError {
    /// Not JSON.
    #[error("the issuer's document is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// JSON without keys or certificates.
    #[error("the issuer's document is neither a JWK set nor a map of certificates")]
    UnknownForm,
}

impl KeySet {
    /// Reads an issuer's document.
    pub fn parse(document: &[u8]) -> Result<Self, KeyDocumentError> {
        let document: Map<String, Value> = serde_json::from_slice(document).map_err(KeyDocumentError::NotJson)?;
        if let Some(Value::Array(keys)) = document.get("keys") {
            return Ok(Self(keys.iter().filter_map(from_jwk).collect()));
        }
        let keys: Vec<Key> =
            document.iter().filter_map(|(id, pem)| from_certificate(id, pem.as_str()?.as_bytes())).collect();
        if keys.is_empty() { Err(KeyDocumentError::UnknownForm) } else { Ok(Self(keys)) }
    }

    /// The keys that a token may mean: those with its key id. A token without one means every key that fits its
    /// algorithm, so that an issuer with a single key need not name it.
    pub fn meant_by<'a>(&'a self, token: &'a Signed<'_>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| match &token.key_id {
            Some(id) => key.id.as_ref() == Some(id),
            None => key.verifier(token.algorithm).is_some(),
        })
    }

    /// How many keys can be used.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no key can be used.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

fn from_jwk(jwk: &Value) -> Option<Key> {
    let jwk = Jwk::deserialize(jwk).ok()?;
    let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !for_signatures {
        return None;
    }
    let mut verifiers = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Verifier::rsa(&bytes(jwk.n)?, &bytes(jwk.e)?),
        ("EC", Some("P-256")) => vec![point(Curve::P256, &bytes(jwk.x)?, &bytes(jwk.y)?)?],
        ("EC", Some("P-384")) => vec![point(Curve::P384, &bytes(jwk.x)?, &bytes(jwk.y)?)?],
        ("EC", Some("P-521")) => vec![point(Curve::P521, &bytes(jwk.x)?, &bytes(jwk.y)?)?],
        ("OKP", Some("Ed25519")) => vec![edwards(&bytes(jwk.x)?)?],
        // Symmetric keys ("oct") are secrets: one that is published is known to everybody.
        _ => return None,
    };
    if let Some(name) = jwk.alg {
        let named = Algorithm::named(&name)?;
        verifiers.retain(|verifier| verifier.algorithm() == named);
    }
    Key::of(jwk.kid, verifiers)
}

/// The key of a certificate. Its dates are not looked at: the issuer vouches for it by publishing it now.
fn from_certificate(id: &str, pem: &[u8]) -> Option<Key> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let info = certificate.public_key();
    let verifiers = match info.parsed().ok()? {
        PublicKey::RSA(key) => Verifier::rsa(key.modulus, key.exponent),
        // The certificate names the curve, and a key is on one alone.
        _ => Curve::ALL.into_iter().filter_map(|curve| Verifier::on_curve(curve, info.raw)).collect(),
    };
    Key::of(Some(id.to_owned()), verifiers)
}

fn point(curve: Curve, x: &[u8], y: &[u8]) -> Option<Verifier> {
    if [x, y].iter().any(|coordinate| coordinate.len() != curve.coordinate_bytes()) {
        return None;
    }
    // Uncompressed, as SEC 1 writes it.
    Verifier::on_curve(curve, &[&[4], x, y].concat())
}

fn edwards(key: &[u8]) -> Option<Verifier> {
    // Another length would be taken for another form.
    if key.len() == Curve::Ed25519.coordinate_bytes() { Verifier::on_curve(Curve::Ed25519, key) } else { None }
}

fn bytes(member: Option<String>) -> Option<Vec<u8>> {
    BASE64.decode(member?).ok()
}
