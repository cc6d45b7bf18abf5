//! Keys in all their forms, and the algorithms that they are for.

use serde_json::{Value, json};

use super::super::signature::Algorithm;
use super::super::testing::{TestKey, ed25519, encode, other_rsa, p256, p384, p521, rsa, signers};
use super::super::verdict::Refusal;
use super::{NOW, URI, claims, issuer, judge, judge_with, settings};
use crate::fakes::Cloud;

/// What an issuer with this document says to a token that `key` signs with `algorithm`.
fn ask(document: &Value, key: &TestKey, kid: &str, algorithm: Algorithm) -> Result<String, Refusal> {
    let cloud = Cloud::at(NOW * 1000);
    issuer(&cloud, URI, document);
    let token = key.sign(algorithm, &json!({"alg": algorithm.name(), "kid": kid}), &claims());
    judge_with(&cloud, settings(), &token)
}

#[test]
fn a_good_token_of_every_algorithm_lets_its_user_in() {
    for (key, kid, algorithm) in signers() {
        let token = key.sign(algorithm, &json!({"alg": algorithm.name(), "kid": kid}), &claims());
        assert_eq!(judge(&token), Ok("user".into()), "{algorithm:?}");
    }
    let token = ed25519().sign(Algorithm::EdDsa, &json!({"alg": "Ed25519", "kid": "ed"}), &claims());
    assert_eq!(judge(&token), Ok("user".into()), "EdDSA by its newer name");
    let signed: Vec<Algorithm> = signers().map(|(.., algorithm)| algorithm).into();
    assert_eq!(signed, Algorithm::ALL, "none is left out");
}

#[test]
fn a_key_that_names_its_algorithm_is_for_no_other() {
    for (key, _, algorithm) in signers() {
        let jwk = key.jwk_with(&json!({"kid": "k", "alg": algorithm.name(), "use": "sig"}));
        let document = json!({ "keys": [jwk] });
        for (other_key, _, other) in signers().into_iter().filter(|(signer, ..)| std::ptr::eq(*signer, key)) {
            let expected = if other == algorithm { Ok("user".into()) } else { Err(Refusal::AlgorithmRefused) };
            assert_eq!(ask(&document, other_key, "k", other), expected, "{other:?} with a key for {algorithm:?}");
        }
    }
}

#[test]
fn certificates_of_firebase_are_keys() {
    for (key, _, algorithm) in signers() {
        let document = json!({"one": key.certificate, "broken": "-----BEGIN", "odd": 5});
        assert_eq!(ask(&document, key, "one", algorithm), Ok("user".into()), "{algorithm:?}");
        assert_eq!(ask(&document, key, "two", algorithm), Err(Refusal::KeyUnknown), "{algorithm:?}");
    }
}

#[test]
fn a_token_of_every_algorithm_is_refused_by_every_other_key() {
    let keys = [rsa(), other_rsa(), p256(), p384(), p521(), ed25519()];
    let mut refused = 0;
    for (key, _, algorithm) in signers() {
        for other in keys.into_iter().filter(|other| !std::ptr::eq(*other, key)) {
            for document in [json!({"keys": [other.jwk_with(&json!({"kid": "k"}))]}), json!({"k": other.certificate})] {
                let refusal = ask(&document, key, "k", algorithm).unwrap_err();
                assert!(matches!(refusal, Refusal::AlgorithmRefused | Refusal::SignatureInvalid), "{refusal}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 10 * 5 * 2);
}

#[test]
fn a_header_that_names_another_algorithm_than_signed_is_refused() {
    let mut refused = 0;
    for (key, kid, algorithm) in signers() {
        for named in Algorithm::ALL.into_iter().filter(|named| *named != algorithm) {
            let token = key.sign(algorithm, &json!({"alg": named.name(), "kid": kid}), &claims());
            let same_key =
                signers().iter().any(|(other, _, algorithm)| std::ptr::eq(*other, key) && *algorithm == named);
            let expected = if same_key { Refusal::SignatureInvalid } else { Refusal::AlgorithmRefused };
            assert_eq!(judge(&token), Err(expected), "{algorithm:?} as {named:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 90);
}

#[test]
fn a_signature_on_a_curve_has_a_fixed_width_and_is_not_der() {
    for (key, kid, algorithm, bytes) in [
        (p256(), "p256", Algorithm::Es256, 64),
        (p384(), "p384", Algorithm::Es384, 96),
        (p521(), "p521", Algorithm::Es512, 132),
        (ed25519(), "ed", Algorithm::EdDsa, 64),
    ] {
        let token = key.sign(algorithm, &json!({"alg": algorithm.name(), "kid": kid}), &claims());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let signature = key.signature(algorithm, signed.as_bytes());
        assert_eq!(signature.len(), bytes);
        let with = |signature: &[u8]| judge(&format!("{signed}.{}", encode(signature)));
        assert_eq!(with(&signature), Ok("user".into()));
        let half = bytes / 2;
        let bad = [
            signature[1..].to_vec(),
            signature[..bytes - 1].to_vec(),
            [&signature[..], &[0]].concat(),
            [&[0], &signature[..]].concat(),
            // Each number wider by a zero, which does not change it.
            [&[0], &signature[..half], &[0], &signature[half..]].concat(),
            [&signature[half..], &signature[..half]].concat(),
            vec![0; bytes],
            vec![0xff; bytes],
        ];
        for signature in bad {
            assert_eq!(with(&signature), Err(Refusal::SignatureInvalid), "{algorithm:?} {signature:?}");
        }
        if algorithm != Algorithm::EdDsa {
            let der = key.der_signature(algorithm, signed.as_bytes());
            assert_eq!(with(&der), Err(Refusal::SignatureInvalid), "{algorithm:?} in DER");
        }
    }
}

#[test]
fn keys_that_are_not_for_signatures_do_not_count() {
    let secret = encode(b"a secret of thirty-two bytes....");
    let even: String = rsa().jwk["n"].as_str().unwrap().chars().take(340).collect();
    let bad = [
        rsa().jwk_with(&json!({"kid": "k", "use": "enc"})),
        rsa().jwk_with(&json!({"kid": "k", "key_ops": ["encrypt"]})),
        rsa().jwk_with(&json!({"kid": "k", "alg": "HS256"})),
        rsa().jwk_with(&json!({"kid": "k", "alg": "ES256"})),
        rsa().jwk_with(&json!({"kid": "k", "alg": "RSA-OAEP"})),
        rsa().jwk_with(&json!({"kid": "k", "alg": ""})),
        rsa().jwk_with(&json!({"kid": "k", "n": "AQAB"})),
        rsa().jwk_with(&json!({"kid": "k", "n": even})),
        rsa().jwk_with(&json!({"kid": "k", "n": "%"})),
        rsa().jwk_with(&json!({"kid": "k", "n": encode(&[0xff; 1025])})),
        rsa().jwk_with(&json!({"kid": "k", "e": ""})),
        rsa().jwk_with(&json!({"kid": "k", "e": "AAAA"})),
        rsa().jwk_with(&json!({"kid": "k", "e": encode(&[0xff; 9])})),
        rsa().jwk_with(&json!({"kid": "k", "kty": 5})),
        rsa().jwk_with(&json!({"kid": "k", "kty": "rsa"})),
        rsa().jwk_with(&json!({"kid": 5})),
        json!({"kid": "k", "kty": "oct", "k": secret}),
        json!({"kid": "k", "kty": "oct", "k": secret, "alg": "RS256"}),
        json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}),
        p384().jwk_with(&json!({"kid": "k", "crv": "P-256"})),
        p256().jwk_with(&json!({"kid": "k", "crv": "secp256k1"})),
        p256().jwk_with(&json!({"kid": "k", "x": p256().jwk["y"], "y": p256().jwk["x"]})),
        ed25519().jwk_with(&json!({"kid": "k", "crv": "Ed448"})),
        ed25519().jwk_with(&json!({"kid": "k", "crv": "X25519"})),
        ed25519().jwk_with(&json!({"kid": "k", "x": encode(&ed25519().public_der)})),
        json!("key"),
        json!(null),
    ];
    for key in bad {
        let document = json!({"keys": [key, p256().jwk_with(&json!({"kid": "good"}))]});
        for (signer, _, algorithm) in signers() {
            assert_eq!(ask(&document, signer, "k", algorithm), Err(Refusal::KeyUnknown), "{algorithm:?} {key}");
        }
        let good = ask(&document, p256(), "good", Algorithm::Es256);
        assert_eq!(good, Ok("user".into()), "its neighbour suffers from {key}");
    }
}

#[test]
fn an_exponent_that_makes_every_message_its_own_signature_verifies_nothing() {
    for exponent in ["AQ", "Ag", "AAAB"] {
        let document = json!({"keys": [rsa().jwk_with(&json!({"kid": "k", "e": exponent}))]});
        assert!(ask(&document, rsa(), "k", Algorithm::Rs256).is_err());
        // With e = 1, the padded digest is its own signature.
        let header = encode(br#"{"alg":"RS256","kid":"k"}"#);
        let signed = format!("{header}.{}", encode(claims().to_string().as_bytes()));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed.as_bytes());
        let info =
            [&b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"[..], digest.as_ref()];
        let info = info.concat();
        let padded = [&[0, 1][..], &vec![0xff; 256 - 3 - info.len()], &[0], &info].concat();
        let cloud = Cloud::at(NOW * 1000);
        issuer(&cloud, URI, &document);
        let forged = judge_with(&cloud, settings(), &format!("{signed}.{}", encode(&padded)));
        assert!(matches!(forged, Err(Refusal::SignatureInvalid | Refusal::KeyUnknown)), "{exponent}: {forged:?}");
    }
}

#[test]
fn padding_and_leading_zeros_in_a_jwk_change_nothing() {
    let n = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, rsa().jwk["n"].as_str().unwrap());
    let zeros = encode(&[&[0; 4], &n.unwrap()[..]].concat());
    for members in [json!({"kid": "k", "e": "AQAB===="}), json!({"kid": "k", "n": zeros, "e": "AAEAAQ"})] {
        let padded = members["e"] == "AQAB====";
        let document = json!({"keys": [rsa().jwk_with(&members)]});
        let expected = if padded { Err(Refusal::KeyUnknown) } else { Ok("user".into()) };
        assert_eq!(ask(&document, rsa(), "k", Algorithm::Rs256), expected, "four signs of padding are none");
    }
    let x = format!("{}=", p256().jwk["x"].as_str().unwrap());
    let document = json!({"keys": [p256().jwk_with(&json!({"kid": "k", "x": x}))]});
    assert_eq!(ask(&document, p256(), "k", Algorithm::Es256), Ok("user".into()));
}

#[test]
fn a_token_without_a_key_id_means_the_keys_that_fit() {
    for (key, _, algorithm) in signers() {
        let token = key.sign(algorithm, &json!({"alg": algorithm.name()}), &claims());
        assert_eq!(judge(&token), Ok("user".into()), "{algorithm:?}");
    }
    let token = other_rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256"}), &claims());
    assert_eq!(judge(&token), Err(Refusal::SignatureInvalid));
}

#[test]
fn of_two_keys_with_one_id_the_one_that_signed_counts() {
    let both = [other_rsa(), rsa(), p256()].map(|key| key.jwk_with(&json!({"kid": "k"})));
    let document = json!({ "keys": both });
    assert_eq!(ask(&document, rsa(), "k", Algorithm::Rs256), Ok("user".into()));
    assert_eq!(ask(&document, p256(), "k", Algorithm::Es256), Ok("user".into()));
    assert_eq!(ask(&document, ed25519(), "k", Algorithm::EdDsa), Err(Refusal::AlgorithmRefused));
}
