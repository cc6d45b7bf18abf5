//! Keys and tokens made in the test, good and forged.

use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

/// A key pair in all forms that tests need.
pub struct TestKey {
    pub certificate: String,
    pub jwk: Value,
    pub public_der: Vec<u8>,
    pub signing: EncodingKey,
}

pub fn rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()))
}

pub fn other_rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()))
}

pub fn p256() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()))
}

pub fn p384() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()))
}

pub fn ed25519() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&KeyPair::generate_for(&PKCS_ED25519).unwrap()))
}

fn make(pair: &KeyPair) -> TestKey {
    let certificate = CertificateParams::new(vec!["issuer.test".into()]).unwrap().self_signed(pair).unwrap().pem();
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).unwrap();
    let parsed = pem.parse_x509().unwrap();
    let private = pair.serialize_pem();
    let (jwk, signing) = match parsed.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => (
            json!({"kty": "RSA", "n": encode(key.modulus), "e": encode(key.exponent)}),
            EncodingKey::from_rsa_pem(private.as_bytes()).unwrap(),
        ),
        PublicKey::EC(point) => {
            let (x, y) = point.data()[1..].split_at((point.data().len() - 1) / 2);
            let curve = if x.len() == 32 { "P-256" } else { "P-384" };
            (
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}),
                EncodingKey::from_ec_pem(private.as_bytes()).unwrap(),
            )
        }
        PublicKey::Unknown(key) => (
            json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key)}),
            EncodingKey::from_ed_pem(private.as_bytes()).unwrap(),
        ),
        other => panic!("{other:?}"),
    };
    let public_der = parsed.public_key().raw.to_vec();
    TestKey { certificate: certificate.clone(), jwk, public_der, signing }
}

impl TestKey {
    /// The JWK with more members.
    pub fn jwk_with(&self, members: &Value) -> Value {
        let mut jwk = self.jwk.clone();
        jwk.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        jwk
    }

    /// A token with these header and claims, signed with `algorithm`.
    pub fn sign(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        self.sign_text(algorithm, &header.to_string(), &claims.to_string())
    }

    pub fn sign_text(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.signing, algorithm).unwrap();
        format!("{signed}.{signature}")
    }
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
