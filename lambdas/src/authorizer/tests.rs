//! Every way in, and every reason to be kept out.

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use sumu_contract::settings::{AuthorizerSettings, Issuer, TokenSource};

use super::testing::{TestKey, ed25519, encode, other_rsa, p256, p384, rsa};
use super::verdict::Refusal;
use super::{Authorizer, AuthorizerError};
use crate::fakes::{Cloud, run};
use crate::ports::KeyDocument;
use crate::telemetry::testing::{line, metrics};

const NOW: u64 = 1_800_000_000;
const URI: &str = "https://issuer.test/jwks";

fn settings() -> AuthorizerSettings {
    AuthorizerSettings {
        issuers: vec![Issuer {
            jwks_uri: URI.into(),
            issuer: Some("https://issuer.test/".into()),
            audiences: vec!["sumu".into(), "other".into()],
        }],
        verify_expiration: true,
        leeway_seconds: 30,
        principal_claim: "sub".into(),
        token_sources: vec![TokenSource::QueryString, TokenSource::Header, TokenSource::Subprotocol],
    }
}

fn claims() -> Value {
    json!({"sub": "user", "iss": "https://issuer.test/", "aud": "sumu", "exp": NOW + 60, "iat": NOW, "nbf": NOW})
}

fn with(mut object: Value, members: &Value) -> Value {
    object.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

fn issuer(cloud: &Cloud, uri: &str, document: &Value) {
    let document = KeyDocument { body: document.to_string().into_bytes(), cache_control: None };
    cloud.state().documents.insert(uri.into(), document);
}

/// The usual issuer: one RSA key without `alg`, and one of each other kind.
fn usual() -> Cloud {
    let cloud = Cloud::at(NOW * 1000);
    let keys = [(rsa(), "rsa"), (p256(), "p256"), (p384(), "p384"), (ed25519(), "ed")];
    let keys: Vec<Value> = keys.iter().map(|(key, id)| key.jwk_with(&json!({"kid": id}))).collect();
    issuer(&cloud, URI, &json!({ "keys": keys }));
    cloud
}

fn event(token: &str) -> Value {
    json!({"type": "REQUEST", "methodArn": "arn:m", "queryStringParameters": {"authorization": token}})
}

fn authorizer(cloud: &Cloud, settings: AuthorizerSettings) -> Authorizer<Cloud, Cloud> {
    Authorizer::new(settings, cloud.clone(), cloud.clone())
}

/// Whom the token lets in, or why it does not.
fn judge_with(cloud: &Cloud, settings: AuthorizerSettings, token: &str) -> Result<String, Refusal> {
    let Ok((policy, refusal)) = run(authorizer(cloud, settings).answer(&event(token))) else { panic!("a fault") };
    let effect = &policy["policyDocument"]["Statement"][0]["Effect"];
    match refusal {
        None => {
            assert_eq!(effect, "Allow");
            Ok(policy["principalId"].as_str().unwrap().to_owned())
        }
        Some(refusal) => {
            assert_eq!(effect, "Deny");
            Err(refusal)
        }
    }
}

fn judge(token: &str) -> Result<String, Refusal> {
    judge_with(&usual(), settings(), token)
}

fn signed(claims: &Value) -> String {
    rsa().sign(Algorithm::RS256, &json!({"alg": "RS256", "kid": "rsa"}), claims)
}

fn refused(claims: &Value) -> Refusal {
    judge(&signed(claims)).unwrap_err()
}

#[test]
fn a_good_token_of_every_algorithm_lets_its_user_in() {
    let cases = [
        (rsa(), "rsa", Algorithm::RS256, "RS256"),
        (rsa(), "rsa", Algorithm::RS384, "RS384"),
        (rsa(), "rsa", Algorithm::RS512, "RS512"),
        (rsa(), "rsa", Algorithm::PS256, "PS256"),
        (rsa(), "rsa", Algorithm::PS384, "PS384"),
        (rsa(), "rsa", Algorithm::PS512, "PS512"),
        (p256(), "p256", Algorithm::ES256, "ES256"),
        (p384(), "p384", Algorithm::ES384, "ES384"),
        (ed25519(), "ed", Algorithm::EdDSA, "EdDSA"),
        (ed25519(), "ed", Algorithm::EdDSA, "Ed25519"),
    ];
    for (key, kid, algorithm, name) in cases {
        let token = key.sign(algorithm, &json!({"alg": name, "kid": kid}), &claims());
        assert_eq!(judge(&token), Ok("user".into()), "{name}");
    }
}

#[test]
fn the_answer_passes_expiry_and_issuer_on() {
    let policy = run(authorizer(&usual(), settings()).handle(event(&signed(&claims())))).unwrap();
    assert_eq!(policy["context"], json!({"exp": NOW + 60, "iss": "https://issuer.test/"}));
    assert_eq!(policy["policyDocument"]["Statement"][0]["Resource"], "arn:m");
}

#[test]
fn no_token_is_the_error_that_the_gateway_knows() {
    for event in [
        json!({"methodArn": "arn:m", "queryStringParameters": null, "headers": null}),
        json!({"methodArn": "arn:m", "queryStringParameters": {"authorization": ""}}),
    ] {
        let error = run(authorizer(&usual(), settings()).handle(event)).unwrap_err();
        assert!(matches!(error, AuthorizerError::Unauthorized));
        assert_eq!(lambda_runtime::Diagnostic::from(error).error_message, "Unauthorized");
    }
}

#[test]
fn an_event_without_a_method_is_our_fault_and_not_an_allow() {
    let error = run(authorizer(&usual(), settings()).handle(json!({}))).unwrap_err();
    assert!(matches!(error, AuthorizerError::NoMethod));
}

#[test]
fn keys_that_cannot_be_had_are_a_fault_and_neither_allow_nor_deny() {
    let error = run(authorizer(&Cloud::at(NOW * 1000), settings()).handle(event(&signed(&claims())))).unwrap_err();
    assert!(matches!(error, AuthorizerError::Unchecked(_)));
    assert_ne!(lambda_runtime::Diagnostic::from(error).error_message, "Unauthorized");
}

#[test]
fn what_is_no_token_is_refused_without_a_panic() {
    let good = signed(&claims());
    let (signed_part, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed_part.split_once('.').unwrap();
    let forms = [
        "x".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        format!("{good}.more"),
        format!("{header}.{payload}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!(" {good}"),
        format!("{}.{payload}.{signature}", encode(b"[]")),
        format!("{}.{payload}.{signature}", encode(b"{\"alg\":\"RS256\"} x")),
        format!("{}.{payload}.{signature}", encode(&[0xff, 0xfe])),
        format!("{header}.{}.{signature}", encode(b"\"text\"")),
        "\u{1f600}.\u{1f600}.\u{1f600}".to_owned(),
    ];
    for form in forms {
        assert_eq!(judge(&form), Err(Refusal::Malformed), "{form}");
    }
    assert_eq!(judge(&"a".repeat(16 * 1024 + 1)), Err(Refusal::TokenTooLong));
    assert_eq!(judge(&format!("{header}.{payload}.")), Err(Refusal::SignatureInvalid));
    assert_eq!(judge(&format!("{good}=")), Err(Refusal::SignatureInvalid));
    assert_eq!(judge(&format!("{header}.{payload}.!!")), Err(Refusal::SignatureInvalid));
}

#[test]
fn a_claim_or_header_that_occurs_twice_is_refused() {
    let header = r#"{"alg":"RS256","kid":"rsa"}"#;
    let twice = claims().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    assert_eq!(judge(&rsa().sign_text(Algorithm::RS256, header, &twice)), Err(Refusal::Malformed));
    let header = r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#;
    assert_eq!(judge(&rsa().sign_text(Algorithm::RS256, header, &claims().to_string())), Err(Refusal::Malformed));
}

#[test]
fn the_key_decides_the_algorithm_and_the_header_cannot_talk_it_round() {
    let claims = claims();
    // Unsigned.
    for name in ["none", "None", "NONE", ""] {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let token = format!("{}.{}.", encode(header.as_bytes()), encode(claims.to_string().as_bytes()));
        assert_eq!(judge(&token), Err(Refusal::AlgorithmRefused), "{name}");
    }
    // Signed with the public key as a shared secret.
    for secret in
        [rsa().public_der.as_slice(), rsa().certificate.as_bytes(), rsa().jwk["n"].as_str().unwrap().as_bytes()]
    {
        let forger = TestKey {
            certificate: String::new(),
            jwk: json!({}),
            public_der: Vec::new(),
            signing: EncodingKey::from_secret(secret),
        };
        let token = forger.sign(Algorithm::HS256, &json!({"alg": "HS256", "kid": "rsa"}), &claims);
        assert_eq!(judge(&token), Err(Refusal::AlgorithmRefused));
        let token = forger.sign(Algorithm::HS256, &json!({"alg": "RS256", "kid": "rsa"}), &claims);
        assert_eq!(judge(&token), Err(Refusal::SignatureInvalid));
    }
    // Another family than the key's.
    let token = p256().sign(Algorithm::ES256, &json!({"alg": "ES256", "kid": "rsa"}), &claims);
    assert_eq!(judge(&token), Err(Refusal::AlgorithmRefused));
    // Another algorithm than the one that was signed with.
    let token = rsa().sign(Algorithm::RS256, &json!({"alg": "PS256", "kid": "rsa"}), &claims);
    assert_eq!(judge(&token), Err(Refusal::SignatureInvalid));
    for header in [json!({"kid": "rsa"}), json!({"alg": 5, "kid": "rsa"}), json!({"alg": "RS256", "kid": 5})] {
        assert_eq!(judge(&rsa().sign(Algorithm::RS256, &header, &claims)), Err(Refusal::Malformed));
    }
}

#[test]
fn a_key_that_names_its_algorithm_is_for_no_other() {
    let cloud = Cloud::at(NOW * 1000);
    issuer(&cloud, URI, &json!({"keys": [rsa().jwk_with(&json!({"kid": "rsa", "alg": "RS512", "use": "sig"}))]}));
    let judge = |algorithm, name| {
        let token = rsa().sign(algorithm, &json!({"alg": name, "kid": "rsa"}), &claims());
        judge_with(&cloud, settings(), &token)
    };
    assert_eq!(judge(Algorithm::RS512, "RS512"), Ok("user".into()));
    assert_eq!(judge(Algorithm::RS256, "RS256"), Err(Refusal::AlgorithmRefused));
}

#[test]
fn keys_that_are_not_for_signatures_do_not_count() {
    let secret = encode(b"a secret of thirty-two bytes....");
    let bad = [
        rsa().jwk_with(&json!({"kid": "k", "use": "enc"})),
        rsa().jwk_with(&json!({"kid": "k", "key_ops": ["encrypt"]})),
        rsa().jwk_with(&json!({"kid": "k", "alg": "HS256"})),
        rsa().jwk_with(&json!({"kid": "k", "alg": "ES256"})),
        rsa().jwk_with(&json!({"kid": "k", "n": "AQAB"})),
        rsa().jwk_with(&json!({"kid": "k", "n": "%"})),
        rsa().jwk_with(&json!({"kid": "k", "kty": 5})),
        json!({"kid": "k", "kty": "oct", "k": secret}),
        json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"}),
        json!("key"),
        json!(null),
    ];
    for key in bad {
        let cloud = Cloud::at(NOW * 1000);
        issuer(&cloud, URI, &json!({"keys": [key, p256().jwk_with(&json!({"kid": "good"}))]}));
        let token = rsa().sign(Algorithm::RS256, &json!({"alg": "RS256", "kid": "k"}), &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::KeyUnknown), "{key}");
        let good = p256().sign(Algorithm::ES256, &json!({"alg": "ES256", "kid": "good"}), &claims());
        assert_eq!(judge_with(&cloud, settings(), &good), Ok("user".into()), "its neighbour suffers from {key}");
    }
}

#[test]
fn a_key_id_is_a_name_and_nothing_else() {
    for kid in ["", "RSA", "rsa ", "../rsa", "rsa' OR '1'='1", "https://evil.test/jwks", "/dev/null"] {
        let token = other_rsa().sign(Algorithm::RS256, &json!({"alg": "RS256", "kid": kid}), &claims());
        assert_eq!(judge(&token), Err(Refusal::KeyUnknown), "{kid}");
    }
}

#[test]
fn keys_that_a_token_brings_along_are_not_asked() {
    let cloud = usual();
    issuer(&cloud, "https://evil.test/jwks", &json!({"keys": [other_rsa().jwk_with(&json!({"kid": "rsa"}))]}));
    let lures = [
        json!({"jwk": other_rsa().jwk}),
        json!({"jku": "https://evil.test/jwks"}),
        json!({"x5u": "https://evil.test/jwks"}),
        json!({"x5c": [other_rsa().certificate]}),
    ];
    for lure in lures {
        let header = with(json!({"alg": "RS256", "kid": "rsa"}), &lure);
        let token = other_rsa().sign(Algorithm::RS256, &header, &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::SignatureInvalid));
    }
    let header = json!({"alg": "RS256", "kid": "rsa", "b64": false, "crit": ["b64"]});
    assert_eq!(judge(&rsa().sign(Algorithm::RS256, &header, &claims())), Err(Refusal::CriticalExtension));
}

#[test]
fn a_token_without_a_key_id_means_the_keys_that_fit() {
    let token = rsa().sign(Algorithm::RS256, &json!({"alg": "RS256"}), &claims());
    assert_eq!(judge(&token), Ok("user".into()));
    let token = other_rsa().sign(Algorithm::RS256, &json!({"alg": "RS256"}), &claims());
    assert_eq!(judge(&token), Err(Refusal::SignatureInvalid));
}

#[test]
fn certificates_of_firebase_are_keys() {
    for (key, algorithm, name) in [
        (rsa(), Algorithm::RS256, "RS256"),
        (p256(), Algorithm::ES256, "ES256"),
        (p384(), Algorithm::ES384, "ES384"),
        (ed25519(), Algorithm::EdDSA, "EdDSA"),
    ] {
        let cloud = Cloud::at(NOW * 1000);
        issuer(&cloud, URI, &json!({"one": key.certificate, "broken": "-----BEGIN", "odd": 5}));
        let token = key.sign(algorithm, &json!({"alg": name, "kid": "one"}), &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Ok("user".into()), "{name}");
        let token = key.sign(algorithm, &json!({"alg": name, "kid": "two"}), &claims());
        assert_eq!(judge_with(&cloud, settings(), &token), Err(Refusal::KeyUnknown), "{name}");
    }
}

#[test]
fn expiry_is_checked_with_leeway_and_only_if_wanted() {
    assert_eq!(refused(&with(claims(), &json!({"exp": NOW - 30}))), Refusal::Expired);
    assert_eq!(judge(&signed(&with(claims(), &json!({"exp": NOW - 29})))), Ok("user".into()));
    assert_eq!(judge(&signed(&with(claims(), &json!({"exp": 1_800_000_000.5})))), Ok("user".into()));
    assert_eq!(refused(&without(claims(), "exp")), Refusal::ExpirationMissing);
    let lenient = || AuthorizerSettings { verify_expiration: false, ..settings() };
    for claims in [with(claims(), &json!({"exp": 1})), without(claims(), "exp")] {
        assert_eq!(judge_with(&usual(), lenient(), &signed(&claims)), Ok("user".into()));
    }
}

#[test]
fn a_date_that_is_none_is_refused() {
    let dates = [
        json!("1900000000"),
        json!(null),
        json!(true),
        json!([1]),
        json!(u64::MAX),
        json!(1e300),
        json!(9_007_199_254_740_992_u64),
    ];
    for date in dates {
        for claim in ["exp", "nbf", "iat"] {
            assert_eq!(refused(&with(claims(), &json!({claim: date}))), Refusal::DateInvalid, "{claim} {date}");
        }
    }
    assert_eq!(refused(&with(claims(), &json!({"exp": -1}))), Refusal::Expired);
    let overflow = claims().to_string().replace(&(NOW + 60).to_string(), "1e999");
    let token = rsa().sign_text(Algorithm::RS256, r#"{"alg":"RS256","kid":"rsa"}"#, &overflow);
    assert_eq!(judge(&token), Err(Refusal::Malformed));
}

#[test]
fn an_absurd_leeway_overflows_nothing() {
    let settings = AuthorizerSettings { leeway_seconds: u64::MAX, ..settings() };
    let old = signed(&with(claims(), &json!({"exp": 0, "nbf": 9_007_199_254_740_991_u64})));
    assert_eq!(judge_with(&usual(), settings, &old), Ok("user".into()));
}

#[test]
fn a_token_from_the_future_is_refused() {
    assert_eq!(refused(&with(claims(), &json!({"nbf": NOW + 31}))), Refusal::NotYetValid);
    assert_eq!(refused(&with(claims(), &json!({"iat": NOW + 31}))), Refusal::IssuedInFuture);
    assert_eq!(judge(&signed(&with(claims(), &json!({"nbf": NOW + 30, "iat": NOW + 30})))), Ok("user".into()));
}

#[test]
fn one_audience_of_a_text_or_a_list_is_enough() {
    for audience in [json!("other"), json!(["x", "sumu"])] {
        assert_eq!(judge(&signed(&with(claims(), &json!({"aud": audience})))), Ok("user".into()));
    }
    for audience in
        [json!("sum"), json!("sumu "), json!([]), json!(["x"]), json!([["sumu"]]), json!(null), json!({"sumu": 1})]
    {
        assert_eq!(refused(&with(claims(), &json!({"aud": audience}))), Refusal::AudienceRefused, "{audience}");
    }
    assert_eq!(refused(&without(claims(), "aud")), Refusal::AudienceRefused);
    let mut any = settings();
    any.issuers[0].audiences.clear();
    assert_eq!(judge_with(&usual(), any, &signed(&without(claims(), "aud"))), Ok("user".into()));
}

#[test]
fn the_issuer_chooses_the_keys() {
    for issuer in
        [json!("https://evil.test/"), json!("https://issuer.test"), json!(null), json!(["https://issuer.test/"])]
    {
        assert_eq!(refused(&with(claims(), &json!({"iss": issuer}))), Refusal::IssuerUnknown, "{issuer}");
    }
    let cloud = usual();
    issuer(&cloud, "https://b.test/jwks", &json!({"keys": [other_rsa().jwk_with(&json!({"kid": "rsa"}))]}));
    let mut two = settings();
    two.issuers.push(Issuer {
        jwks_uri: "https://b.test/jwks".into(),
        issuer: Some("https://b.test/".into()),
        audiences: vec![],
    });
    let of_b = with(claims(), &json!({"iss": "https://b.test/", "aud": "anything"}));
    let header = json!({"alg": "RS256", "kid": "rsa"});
    let by_b = other_rsa().sign(Algorithm::RS256, &header, &of_b);
    assert_eq!(judge_with(&cloud, two.clone(), &by_b), Ok("user".into()));
    let by_a = rsa().sign(Algorithm::RS256, &header, &of_b);
    assert_eq!(judge_with(&cloud, two, &by_a), Err(Refusal::SignatureInvalid), "A signs for B");
}

#[test]
fn an_issuer_without_a_name_is_asked_about_every_token() {
    let cloud = usual();
    let mut settings = settings();
    settings.issuers.insert(0, Issuer { jwks_uri: "https://down.test/".into(), issuer: None, audiences: vec![] });
    assert_eq!(judge_with(&cloud, settings.clone(), &signed(&claims())), Ok("user".into()), "one that is down");
    let forged = other_rsa().sign(Algorithm::RS256, &json!({"alg": "RS256", "kid": "rsa"}), &claims());
    let error = run(authorizer(&cloud, settings).handle(event(&forged))).unwrap_err();
    assert!(matches!(error, AuthorizerError::Unchecked(_)), "it might have known the key");
}

#[test]
fn the_principal_is_a_text_that_can_be_a_key() {
    for principal in [json!(5), json!(null), json!(["user"]), json!({})] {
        assert_eq!(refused(&with(claims(), &json!({"sub": principal}))), Refusal::PrincipalMissing);
    }
    assert_eq!(refused(&without(claims(), "sub")), Refusal::PrincipalMissing);
    for principal in [String::new(), "u".repeat(1025), "م".repeat(513), "a\u{0}b".into(), "a\nb".into()] {
        assert_eq!(refused(&with(claims(), &json!({"sub": principal}))), Refusal::PrincipalInvalid);
    }
    let longest = "م".repeat(512);
    assert_eq!(judge(&signed(&with(claims(), &json!({"sub": longest})))), Ok(longest));
    let by_email = AuthorizerSettings { principal_claim: "email".into(), ..settings() };
    let token = signed(&with(claims(), &json!({"email": "a@b"})));
    assert_eq!(judge_with(&usual(), by_email, &token), Ok("a@b".into()));
}

#[test]
fn a_verdict_tells_how_old_its_keys_were() {
    let cloud = usual();
    let authorizer = authorizer(&cloud, settings());
    let ask = |claims: &Value| {
        let event = event(&signed(claims));
        line(|| drop(run(authorizer.handle(event))))
    };
    let allowed = ask(&claims());
    assert_eq!(metrics(&allowed), [("Allowed", &json!(1)), ("JwksFetches", &json!(1))]);
    assert_eq!(allowed["JwksAge"], 0);
    cloud.state().now += 50_000;
    assert_eq!(metrics(&ask(&claims())), [("Allowed", &json!(1)), ("JwksAge", &json!(50))]);
    let refused = ask(&without(claims(), "sub"));
    assert_eq!(metrics(&refused), [("JwksAge", &json!(50)), ("Refusals", &json!(1))]);
    assert_eq!((&refused["Reason"], &refused["reason"]), (&json!("PrincipalMissing"), &json!("PrincipalMissing")));
}
