//! An issuer's public keys, and which algorithm each may be used with. Pure.
//!
//! Two documents are understood: a JWK set (RFC 7517), also with keys that name no algorithm, and a map from key id
//! to X.509 certificate in PEM, as Firebase has it. A key that cannot be used is left out: it must not take the
//! others with it.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

use super::token::{self, Token};

/// The shortest RSA modulus that NIST SP 800-131A still allows, 2,048 bits.
const RSA_MODULUS_BYTES_MIN: usize = 256;

/// Some issuers pad what RFC 7518 wants unpadded.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// One public key.
#[derive(Clone, Debug)]
pub struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    /// The key itself.
    pub material: DecodingKey,
}

impl Key {
    /// Whether a signature of this algorithm may be verified with this key.
    #[must_use]
    pub fn allows(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
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
    pub fn meant_by<'a>(&'a self, token: &'a Token<'_>) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| match &token.key_id {
            Some(id) => key.id.as_ref() == Some(id),
            None => key.allows(token.algorithm),
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
    let (fitting, material) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => rsa(&bytes(jwk.n)?, &bytes(jwk.e)?)?,
        ("EC", Some("P-256")) => ec(&bytes(jwk.x)?, &bytes(jwk.y)?, 32)?,
        ("EC", Some("P-384")) => ec(&bytes(jwk.x)?, &bytes(jwk.y)?, 48)?,
        ("OKP", Some("Ed25519")) => ed(&bytes(jwk.x)?)?,
        // Symmetric keys ("oct") are secrets: one that is published is known to everybody.
        _ => return None,
    };
    let algorithms = match jwk.alg.as_deref() {
        None => fitting,
        Some(name) => vec![token::algorithm(name).filter(|named| fitting.contains(named))?],
    };
    Some(Key { id: jwk.kid, algorithms, material })
}

/// The key of a certificate. Its dates are not looked at: the issuer vouches for it by publishing it now.
fn from_certificate(id: &str, pem: &[u8]) -> Option<Key> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let certificate = pem.parse_x509().ok()?;
    let info = certificate.public_key();
    let (algorithms, material) = match info.parsed().ok()? {
        PublicKey::RSA(key) => rsa(key.modulus, key.exponent)?,
        PublicKey::EC(point) => match point.data() {
            [4, coordinates @ ..] if matches!(coordinates.len(), 64 | 96) => {
                let size = coordinates.len() / 2;
                let (x, y) = coordinates.split_at(size);
                ec(x, y, size)?
            }
            _ => return None,
        },
        PublicKey::Unknown(key) if info.algorithm.algorithm == OID_SIG_ED25519 => ed(key)?,
        _ => return None,
    };
    Some(Key { id: Some(id.to_owned()), algorithms, material })
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<(Vec<Algorithm>, DecodingKey)> {
    // DER and some issuers put a zero before a number whose first bit is set.
    let strip = |number: &[u8]| {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().to_vec()
    };
    let (modulus, exponent) = (strip(modulus), strip(exponent));
    if modulus.len() < RSA_MODULUS_BYTES_MIN || exponent.is_empty() {
        return None;
    }
    Some((RSA.to_vec(), DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
}

fn ec(x: &[u8], y: &[u8], size: usize) -> Option<(Vec<Algorithm>, DecodingKey)> {
    if x.len() != size || y.len() != size {
        return None;
    }
    let algorithm = if size == 32 { Algorithm::ES256 } else { Algorithm::ES384 };
    let point: Vec<u8> = std::iter::once(4).chain(x.iter().copied()).chain(y.iter().copied()).collect();
    Some((vec![algorithm], DecodingKey::from_ec_der(&point)))
}

fn ed(key: &[u8]) -> Option<(Vec<Algorithm>, DecodingKey)> {
    (key.len() == 32).then(|| (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(key)))
}

fn bytes(member: Option<String>) -> Option<Vec<u8>> {
    BASE64.decode(member?).ok()
}
