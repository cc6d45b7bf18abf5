//! Project Wycheproof's vectors through the authorizer's own path: what must be refused is, and what is valid and
//! refused all the same is refused for one of the reasons listed here, so many times and no more.

#![expect(clippy::unwrap_used, reason = "vectors that cannot be read are no vectors")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sumu_lambdas::authorizer::keys::KeySet;
use sumu_lambdas::authorizer::signature::{Algorithm, Curve, Verifier};
use sumu_lambdas::authorizer::token::Signed;
use sumu_lambdas::authorizer::verdict::{Refusal, verify_signature};
use wycheproof_ng_core::{EllipticCurve, HashFunction, Mgf, TestResult};
use wycheproof_ng_ecdsa as ecdsa;
use wycheproof_ng_eddsa as eddsa;
use wycheproof_ng_kdf_jose::json_web as jose;
use wycheproof_ng_rsa_signature::{rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

/// What became of some vectors.
#[derive(Debug, Default)]
struct Counts {
    accepted: usize,
    /// Invalid and refused.
    refused: usize,
    /// Valid and refused, by reason.
    by_policy: BTreeMap<&'static str, usize>,
    /// What is wrong.
    wrong: Vec<String>,
}

impl Counts {
    /// Notes one vector. `policy` is why we refuse it even if it is valid.
    fn note(&mut self, name: &str, result: TestResult, accepted: bool, policy: Option<&'static str>) {
        match (accepted, policy, result) {
            (true, Some(reason), _) => self.wrong.push(format!("{name} is accepted in spite of: {reason}")),
            (true, None, TestResult::Invalid) => self.wrong.push(format!("{name} is accepted")),
            (true, None, _) => self.accepted += 1,
            (false, _, TestResult::Invalid) => self.refused += 1,
            (false, Some(reason), _) => *self.by_policy.entry(reason).or_default() += 1,
            (false, None, TestResult::Acceptable) => *self.by_policy.entry("not strictly valid").or_default() += 1,
            (false, None, TestResult::Valid) => self.wrong.push(format!("{name} is refused")),
        }
    }

    #[track_caller]
    fn expect(&self, accepted: usize, refused: usize, by_policy: &[(&str, usize)]) {
        assert!(self.wrong.is_empty(), "{} are wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
        let found: Vec<(&str, usize)> = self.by_policy.iter().map(|(reason, count)| (*reason, *count)).collect();
        assert_eq!((self.accepted, self.refused, &found[..]), (accepted, refused, by_policy));
    }
}

/// The key set that a group's key or keys make.
fn published(key: &Value) -> KeySet {
    let document = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
    KeySet::parse(document.to_string().as_bytes()).unwrap()
}

fn accepts(keys: &KeySet, jws: &Value) -> bool {
    // The form in JSON is an object.
    let text = jws.as_str().map_or_else(|| jws.to_string(), str::to_owned);
    let verified = Signed::parse(&text).and_then(|signed| verify_signature(&signed, keys));
    match verified {
        Ok(()) => true,
        Err(refusal) => {
            assert_ne!(refusal, Refusal::TokenTooLong, "the vectors are short");
            false
        }
    }
}

/// The algorithm that a token's header names.
fn algorithm(jws: &Value) -> Option<String> {
    Some(Signed::parse(jws.as_str()?).ok()?.algorithm.name().to_owned())
}

fn jose_vectors(set: jose::TestName) -> Counts {
    let mut counts = Counts::default();
    for group in jose::TestSet::load(set).unwrap().test_groups {
        let Some(key) = group.public_key.or(group.private_key) else { continue };
        let keys = published(&key);
        let shared = keys.is_empty() && key.to_string().contains(r#""kty":"oct""#);
        for test in group.tests {
            let Some(jws) = test.jws else { continue };
            let policy = if shared {
                Some("a shared secret")
            } else if key["alg"].as_str().is_some_and(|named| algorithm(&jws).is_some_and(|own| own != named)) {
                Some("the key names another algorithm than the token")
            } else {
                None
            };
            let name = format!("{set:?} {} ({} {})", test.tc_id, group.group_comment, test.comment);
            counts.note(&name, test.result, accepts(&keys, &jws), policy);
        }
    }
    counts
}

#[test]
fn signed_tokens() {
    let by_policy = [("a shared secret", 10), ("the key names another algorithm than the token", 4)];
    jose_vectors(jose::TestName::JsonWebSignature).expect(32, 355, &by_policy);
}

#[test]
fn keys_for_tokens() {
    jose_vectors(jose::TestName::JsonWebKey).expect(1, 21, &[("a shared secret", 4)]);
}

#[test]
fn tokens_with_keys_of_many_kinds() {
    jose_vectors(jose::TestName::JsonWebCrypto).expect(2, 45, &[("a shared secret", 2)]);
}

/// Which algorithm a curve and a hash make, if we know it.
fn elliptic(curve: EllipticCurve, hash: HashFunction) -> Option<Algorithm> {
    match (curve, hash) {
        (EllipticCurve::Secp256r1, HashFunction::Sha2_256) => Some(Algorithm::Es256),
        (EllipticCurve::Secp384r1, HashFunction::Sha2_384) => Some(Algorithm::Es384),
        (EllipticCurve::Secp521r1, HashFunction::Sha2_512) => Some(Algorithm::Es512),
        _ => None,
    }
}

#[test]
fn signatures_on_curves() {
    let mut counts = Counts::default();
    for set in ecdsa::TestName::all() {
        for group in ecdsa::TestSet::load(set).unwrap().test_groups {
            let fixed_width = group.test_type == ecdsa::TestGroupTypeId::EcdsaP1363;
            let algorithm = elliptic(group.key.curve, group.hash);
            let verifiers = |key: &[u8]| -> Vec<Verifier> {
                Curve::ALL.into_iter().filter_map(|curve| Verifier::on_curve(curve, key)).collect()
            };
            let (by_point, by_info) = (verifiers(&group.key.key), verifiers(&group.der));
            let policy = match (algorithm, fixed_width) {
                (Some(_), true) => None,
                (Some(_), false) => Some("a signature in DER"),
                (None, _) => Some("a curve with another hash, or another curve"),
            };
            for test in group.tests {
                let name = format!("{set:?} {} ({})", test.tc_id, test.comment);
                let verify = |all: &[Verifier]| all.iter().any(|verifier| verifier.verify(&test.msg, &test.sig));
                let accepted = verify(&by_point);
                assert_eq!(accepted, verify(&by_info), "{name}: both forms of the key are the same key");
                counts.note(&name, test.result, accepted, policy);
            }
        }
    }
    let by_policy = [("a curve with another hash, or another curve", 12_539), ("a signature in DER", 600)];
    counts.expect(597, 16_167, &by_policy);
}

#[test]
fn signatures_on_edwards_curves() {
    let mut counts = Counts::default();
    for set in eddsa::TestName::all() {
        for group in eddsa::TestSet::load(set).unwrap().test_groups {
            let verifier = Verifier::on_curve(Curve::Ed25519, &group.key.pk);
            let policy = verifier.is_none().then_some("Ed448");
            assert_eq!(verifier.is_some(), Verifier::on_curve(Curve::Ed25519, &group.der).is_some());
            for test in group.tests {
                let name = format!("{set:?} {} ({})", test.tc_id, test.comment);
                let accepted = verifier.as_ref().is_some_and(|verifier| verifier.verify(&test.msg, &test.sig));
                counts.note(&name, test.result, accepted, policy);
            }
        }
    }
    counts.expect(88, 133, &[("Ed448", 17)]);
}

const OTHER_SALT: &str = "a salt of another length than the hash's";

/// Whether the verifier for this algorithm takes the signature.
fn takes(verifiers: &[Verifier], algorithm: Option<Algorithm>, message: &[u8], signature: &[u8]) -> bool {
    let verifier = verifiers.iter().find(|verifier| Some(verifier.algorithm()) == algorithm);
    verifier.is_some_and(|verifier| verifier.verify(message, signature))
}

#[test]
fn rsa_signatures_with_the_older_padding() {
    let mut counts = Counts::default();
    for set in pkcs1::TestName::all() {
        for group in pkcs1::TestSet::load(set).unwrap().test_groups {
            let verifiers = Verifier::rsa(&group.key.n, &group.key.e);
            let expected = match group.hash {
                HashFunction::Sha2_256 => Some(Algorithm::Rs256),
                HashFunction::Sha2_384 => Some(Algorithm::Rs384),
                HashFunction::Sha2_512 => Some(Algorithm::Rs512),
                _ => None,
            };
            let policy = expected.is_none().then_some("another hash");
            for test in group.tests {
                let name = format!("{set:?} {} ({})", test.tc_id, test.comment);
                let accepted = takes(&verifiers, expected, &test.msg, &test.sig);
                counts.note(&name, test.result, accepted, policy);
            }
        }
    }
    counts.expect(89, 6_005, &[("another hash", 96), ("not strictly valid", 12)]);
}

#[test]
fn rsa_signatures_with_the_newer_padding() {
    let mut counts = Counts::default();
    for set in pss::TestName::all() {
        for group in pss::TestSet::load(set).unwrap().test_groups {
            let verifiers = Verifier::rsa(&group.key.n, &group.key.e);
            let (expected, salt) = match group.hash {
                HashFunction::Sha2_256 => (Some(Algorithm::Ps256), 32),
                HashFunction::Sha2_384 => (Some(Algorithm::Ps384), 48),
                HashFunction::Sha2_512 => (Some(Algorithm::Ps512), 64),
                _ => (None, 0),
            };
            let policy = if expected.is_none() {
                Some("another hash")
            } else if group.mgf != Mgf::Mgf1 || group.mgf_hash != Some(group.hash) {
                Some("another mask")
            } else if group.salt_size != salt {
                Some(OTHER_SALT)
            } else {
                None
            };
            for test in group.tests {
                let name = format!("{set:?} {} ({})", test.tc_id, test.comment);
                let accepted = takes(&verifiers, expected, &test.msg, &test.sig);
                // What is wrong for the group's length of salt is right for ours.
                let own_salt = policy == Some(OTHER_SALT) && test.comment == format!("s_len changed to {salt}");
                let (result, policy) = if own_salt { (TestResult::Valid, None) } else { (test.result, policy) };
                counts.note(&name, result, accepted, policy);
            }
        }
    }
    let by_policy = [(OTHER_SALT, 416), ("another hash", 878), ("another mask", 339)];
    counts.expect(777, 1_087, &by_policy);
}
