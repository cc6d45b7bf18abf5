//! Keys and tokens made in the test, good and forged.

use std::sync::OnceLock;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
    PKCS_RSA_SHA256, SignatureAlgorithm,
};
use serde_json::{Value, json};
use x509_parser::pem::parse_x509_pem;
use x509_parser::public_key::PublicKey;

use super::signature::Algorithm;

/// A key pair in all forms that tests need.
pub struct TestKey {
    pub certificate: String,
    pub jwk: Value,
    pub public_der: Vec<u8>,
    private_der: Vec<u8>,
}

pub fn rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_RSA_SHA256))
}

pub fn other_rsa() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_RSA_SHA256))
}

pub fn p256() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_ECDSA_P256_SHA256))
}

pub fn p384() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_ECDSA_P384_SHA384))
}

pub fn p521() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_ECDSA_P521_SHA512))
}

pub fn ed25519() -> &'static TestKey {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    KEY.get_or_init(|| make(&PKCS_ED25519))
}

/// Every algorithm with a key that can sign with it, and the key's id at the usual issuer.
pub fn signers() -> [(&'static TestKey, &'static str, Algorithm); 10] {
    [
        (rsa(), "rsa", Algorithm::Rs256),
        (rsa(), "rsa", Algorithm::Rs384),
        (rsa(), "rsa", Algorithm::Rs512),
        (rsa(), "rsa", Algorithm::Ps256),
        (rsa(), "rsa", Algorithm::Ps384),
        (rsa(), "rsa", Algorithm::Ps512),
        (p256(), "p256", Algorithm::Es256),
        (p384(), "p384", Algorithm::Es384),
        (p521(), "p521", Algorithm::Es512),
        (ed25519(), "ed", Algorithm::EdDsa),
    ]
}

fn make(kind: &'static SignatureAlgorithm) -> TestKey {
    let pair = KeyPair::generate_for(kind).unwrap();
    let certificate = CertificateParams::new(vec!["issuer.test".into()]).unwrap().self_signed(&pair).unwrap().pem();
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).unwrap();
    let parsed = pem.parse_x509().unwrap();
    let jwk = match parsed.public_key().parsed().unwrap() {
        PublicKey::RSA(key) => json!({"kty": "RSA", "n": encode(key.modulus), "e": encode(key.exponent)}),
        PublicKey::EC(point) => {
            let (x, y) = point.data()[1..].split_at((point.data().len() - 1) / 2);
            let curve = match x.len() {
                32 => "P-256",
                48 => "P-384",
                _ => "P-521",
            };
            json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
        }
        PublicKey::Unknown(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key)}),
        other => panic!("{other:?}"),
    };
    let public_der = parsed.public_key().raw.to_vec();
    TestKey { certificate: certificate.clone(), jwk, public_der, private_der: pair.serialize_der() }
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
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    }

    /// This key's signature, as RFC 7518 wants it.
    pub fn signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let padding: &dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
            Algorithm::Rs256 => &RSA_PKCS1_SHA256,
            Algorithm::Rs384 => &RSA_PKCS1_SHA384,
            Algorithm::Rs512 => &RSA_PKCS1_SHA512,
            Algorithm::Ps256 => &RSA_PSS_SHA256,
            Algorithm::Ps384 => &RSA_PSS_SHA384,
            Algorithm::Ps512 => &RSA_PSS_SHA512,
            Algorithm::Es256 => return self.ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, message),
            Algorithm::Es384 => return self.ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, message),
            Algorithm::Es512 => return self.ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING, message),
            Algorithm::EdDsa => {
                return Ed25519KeyPair::from_pkcs8(&self.private_der).unwrap().sign(message).as_ref().to_vec();
            }
        };
        let key = RsaKeyPair::from_pkcs8(&self.private_der).unwrap();
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
        signature
    }

    /// The same signature as TLS has it, in DER, which a token must not have.
    pub fn der_signature(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let der = match algorithm {
            Algorithm::Es256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Algorithm::Es384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
            Algorithm::Es512 => &ECDSA_P521_SHA512_ASN1_SIGNING,
            other => panic!("{other:?} has no DER form"),
        };
        self.ecdsa(der, message)
    }

    fn ecdsa(&self, form: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
        let key = EcdsaKeyPair::from_pkcs8(form, &self.private_der).unwrap();
        key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

/// A token that is authenticated with a shared secret.
pub fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
    format!("{signed}.{}", encode(tag.as_ref()))
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
