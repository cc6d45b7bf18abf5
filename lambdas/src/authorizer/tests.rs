//! Every way in, and every reason to be kept out.

mod algorithms;
mod forgeries;
mod issuers;
mod silence;

use serde_json::{Value, json};
use sumu_contract::settings::{AuthorizerSettings, Issuer, TokenSource};

use super::signature::Algorithm;
use super::testing::{ed25519, other_rsa, p256, p384, p521, rsa};
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
    let keys = [(rsa(), "rsa"), (p256(), "p256"), (p384(), "p384"), (p521(), "p521"), (ed25519(), "ed")];
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
    rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": "rsa"}), claims)
}

fn refused(claims: &Value) -> Refusal {
    judge(&signed(claims)).unwrap_err()
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
}

#[test]
fn without_configured_audiences_a_token_may_be_for_anybody() {
    let mut any = settings();
    any.issuers[0].audiences.clear();
    let claims = [claims(), without(claims(), "aud"), with(claims(), &json!({"aud": ["x", 5]}))];
    for claims in claims {
        assert_eq!(judge_with(&usual(), any.clone(), &signed(&claims)), Ok("user".into()), "{claims}");
    }
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
    let by_b = other_rsa().sign(Algorithm::Rs256, &header, &of_b);
    assert_eq!(judge_with(&cloud, two.clone(), &by_b), Ok("user".into()));
    let by_a = rsa().sign(Algorithm::Rs256, &header, &of_b);
    assert_eq!(judge_with(&cloud, two, &by_a), Err(Refusal::SignatureInvalid), "A signs for B");
}

#[test]
fn an_issuer_without_a_name_is_asked_about_every_token() {
    let cloud = usual();
    let mut settings = settings();
    settings.issuers.insert(0, Issuer { jwks_uri: "https://down.test/".into(), issuer: None, audiences: vec![] });
    assert_eq!(judge_with(&cloud, settings.clone(), &signed(&claims())), Ok("user".into()), "one that is down");
    let forged = other_rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": "rsa"}), &claims());
    let error = run(authorizer(&cloud, settings).handle(event(&forged))).unwrap_err();
    assert!(matches!(error, AuthorizerError::Unchecked(_)), "it might have known the key");
}

#[test]
fn the_principal_is_the_text_of_the_configured_claim() {
    assert_eq!(refused(&without(claims(), "sub")), Refusal::PrincipalMissing);
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
