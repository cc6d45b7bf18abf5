//! Documents and tokens in the shapes of the issuers that people use.

use serde_json::{Value, json};
use sumu_contract::settings::{AuthorizerSettings, Issuer};

use super::super::AuthorizerError;
use super::super::signature::Algorithm;
use super::super::testing::{TestKey, encode, other_rsa, p256, rsa};
use super::super::verdict::Refusal;
use super::{NOW, URI, authorizer, event, issuer, judge_with, settings, with, without};
use crate::fakes::{Cloud, run};

/// Settings with this issuer alone.
fn of(name: &str, audiences: &[&str]) -> AuthorizerSettings {
    let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
    let issuers = vec![Issuer { jwks_uri: URI.into(), issuer: Some(name.into()), audiences }];
    AuthorizerSettings { issuers, ..settings() }
}

fn publishing(document: &Value) -> Cloud {
    let cloud = Cloud::at(NOW * 1000);
    issuer(&cloud, URI, document);
    cloud
}

fn rs256(key: &TestKey, kid: &str, claims: &Value) -> String {
    key.sign(Algorithm::Rs256, &json!({"alg": "RS256", "kid": kid, "typ": "JWT"}), claims)
}

#[test]
fn cognito_names_its_client_in_aud_of_an_id_token_and_in_client_id_of_an_access_token() {
    const POOL: &str = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example";
    let cloud = publishing(&json!({"keys": [
        rsa().jwk_with(&json!({"alg": "RS256", "kid": "id=", "use": "sig"})),
        other_rsa().jwk_with(&json!({"alg": "RS256", "kid": "access=", "use": "sig"})),
    ]}));
    let settings = of(POOL, &["client1"]);
    let common = json!({
        "sub": "aaaaaaaa-bbbb", "iss": POOL, "exp": NOW + 3600, "iat": NOW, "auth_time": NOW, "jti": "j",
        "origin_jti": "o", "event_id": "e", "cognito:groups": ["g"],
    });
    let id = with(
        common.clone(),
        &json!({"aud": "client1", "token_use": "id", "cognito:username": "u", "email_verified": true}),
    );
    let access = with(
        common,
        &json!({"client_id": "client1", "token_use": "access", "scope": "openid", "version": 2, "username": "u"}),
    );
    let user = || Ok("aaaaaaaa-bbbb".to_owned());
    assert_eq!(judge_with(&cloud, settings.clone(), &rs256(rsa(), "id=", &id)), user());
    assert_eq!(judge_with(&cloud, settings.clone(), &rs256(other_rsa(), "access=", &access)), user());
    for other in [json!({"client_id": "client2"}), json!({"client_id": null}), json!({"client_id": {"client1": 1}})] {
        let token = rs256(other_rsa(), "access=", &with(access.clone(), &other));
        assert_eq!(judge_with(&cloud, settings.clone(), &token), Err(Refusal::AudienceRefused), "{other}");
    }
    let neither = rs256(other_rsa(), "access=", &without(access, "client_id"));
    assert_eq!(judge_with(&cloud, settings.clone(), &neither), Err(Refusal::AudienceRefused));
    let by_name = AuthorizerSettings { principal_claim: "cognito:username".into(), ..settings };
    assert_eq!(judge_with(&cloud, by_name, &rs256(rsa(), "id=", &id)), Ok("u".into()));
}

#[test]
fn a_client_id_counts_only_where_there_is_no_audience() {
    let cloud = publishing(&json!({"keys": [rsa().jwk_with(&json!({"kid": "k"}))]}));
    let claims = json!({"sub": "user", "iss": "https://i/", "exp": NOW + 60, "client_id": "sumu"});
    for audience in [json!("other"), json!(["other"]), json!([]), json!(null), json!("")] {
        let token = rs256(rsa(), "k", &with(claims.clone(), &json!({"aud": audience})));
        let refused = judge_with(&cloud, of("https://i/", &["sumu"]), &token);
        assert_eq!(refused, Err(Refusal::AudienceRefused), "a client of ours may hold a token for {audience}");
    }
}

#[test]
fn auth0_names_several_audiences_and_ends_its_issuer_with_a_slash() {
    let cloud = publishing(&json!({"keys": [rsa().jwk_with(&json!({
        "kid": "Q0", "use": "sig", "alg": "RS256", "x5t": "AA", "x5c": [encode(&rsa().public_der)],
    }))]}));
    let claims = json!({
        "iss": "https://tenant.eu.auth0.com/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": ["https://api.example/", "https://tenant.eu.auth0.com/userinfo"], "azp": "spa", "scope": "openid profile",
        "iat": NOW, "exp": NOW + 86_400, "https://example/roles": ["admin"], "permissions": [],
    });
    let judge = |name: &str, audience: &str| judge_with(&cloud, of(name, &[audience]), &rs256(rsa(), "Q0", &claims));
    let user = Ok("auth0|5f7c8ec7c33c6c004bbafe82".to_owned());
    assert_eq!(judge("https://tenant.eu.auth0.com/", "https://api.example/"), user);
    assert_eq!(judge("https://tenant.eu.auth0.com/", "spa"), Err(Refusal::AudienceRefused), "azp is no audience");
    assert_eq!(judge("https://tenant.eu.auth0.com", "https://api.example/"), Err(Refusal::IssuerUnknown));
}

#[test]
fn firebase_publishes_certificates_for_all_projects_and_the_issuer_tells_them_apart() {
    let cloud = publishing(&json!({"f1": rsa().certificate, "f2": other_rsa().certificate}));
    let claims = |project: &str| {
        json!({
            "iss": format!("https://securetoken.google.com/{project}"), "aud": project, "auth_time": NOW,
            "user_id": "uid", "sub": "uid", "iat": NOW, "exp": NOW + 3600, "email": "a@b",
            "firebase": {"identities": {"email": ["a@b"]}, "sign_in_provider": "password"},
        })
    };
    let settings = of("https://securetoken.google.com/ours", &["ours"]);
    assert_eq!(judge_with(&cloud, settings.clone(), &rs256(other_rsa(), "f2", &claims("ours"))), Ok("uid".into()));
    let theirs = rs256(rsa(), "f1", &claims("theirs"));
    assert_eq!(judge_with(&cloud, settings.clone(), &theirs), Err(Refusal::IssuerUnknown));
    let swapped = rs256(rsa(), "f2", &claims("ours"));
    assert_eq!(judge_with(&cloud, settings.clone(), &swapped), Err(Refusal::SignatureInvalid));
    let by_user_id = AuthorizerSettings { principal_claim: "user_id".into(), ..settings };
    assert_eq!(judge_with(&cloud, by_user_id, &rs256(rsa(), "f1", &claims("ours"))), Ok("uid".into()));
}

#[test]
fn keycloak_publishes_a_key_for_encryption_beside_the_one_for_signatures() {
    let cloud = publishing(&json!({"keys": [
        other_rsa().jwk_with(&json!({"kid": "enc", "use": "enc", "alg": "RSA-OAEP", "x5c": ["AA"]})),
        rsa().jwk_with(&json!({"kid": "sig", "use": "sig", "alg": "RS256", "x5c": ["AA"], "x5t#S256": "BB"})),
    ]}));
    let claims = json!({
        "iss": "https://sso.example/realms/live", "sub": "f:1:user", "aud": "account", "typ": "Bearer", "azp": "web",
        "exp": NOW + 300, "iat": NOW, "realm_access": {"roles": ["offline_access"]}, "acr": "1", "sid": "s",
    });
    let settings = of("https://sso.example/realms/live", &["account"]);
    assert_eq!(judge_with(&cloud, settings.clone(), &rs256(rsa(), "sig", &claims)), Ok("f:1:user".into()));
    let list = with(claims.clone(), &json!({"aud": ["web-api", "account"]}));
    assert_eq!(judge_with(&cloud, settings.clone(), &rs256(rsa(), "sig", &list)), Ok("f:1:user".into()));
    let by_enc = rs256(other_rsa(), "enc", &claims);
    assert_eq!(judge_with(&cloud, settings.clone(), &by_enc), Err(Refusal::KeyUnknown));
    let anonymous = other_rsa().sign(Algorithm::Rs256, &json!({"alg": "RS256"}), &claims);
    assert_eq!(judge_with(&cloud, settings, &anonymous), Err(Refusal::SignatureInvalid), "the other key is asked");
}

#[test]
fn entra_publishes_keys_without_an_algorithm_for_all_tenants() {
    const TENANT: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
    let cloud = publishing(&json!({"keys": [rsa().jwk_with(&json!({
        "kid": "1LTM", "use": "sig", "x5t": "1LTM", "x5c": [encode(&rsa().public_der)], "issuer": TENANT,
        "cloud_instance_name": "microsoftonline.com",
    }))]}));
    let claims = json!({
        "aud": "6cb04018-a3f5-46a7-b995-940c78f5aef3", "iss": TENANT, "iat": NOW, "nbf": NOW, "exp": NOW + 3599,
        "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "oid": "o", "tid": "9188040d", "ver": "2.0",
        "preferred_username": "a@b", "aio": "x", "uti": "y",
    });
    let judge = |name: &str| {
        judge_with(&cloud, of(name, &["6cb04018-a3f5-46a7-b995-940c78f5aef3"]), &rs256(rsa(), "1LTM", &claims))
    };
    assert_eq!(judge(TENANT), Ok("AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ".into()));
    let other = "https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0";
    assert_eq!(judge(other), Err(Refusal::IssuerUnknown), "keys are shared, tenants are not");
}

/// Two issuers with a document each.
fn two() -> AuthorizerSettings {
    let named = |name: &str| Issuer {
        jwks_uri: format!("https://{name}.test/jwks"),
        issuer: Some(format!("https://{name}.test/")),
        audiences: vec![],
    };
    AuthorizerSettings { issuers: vec![named("a"), named("b")], ..settings() }
}

#[test]
fn an_issuer_that_is_down_keeps_nobody_of_another_out() {
    let cloud = Cloud::at(NOW * 1000);
    issuer(&cloud, "https://b.test/jwks", &json!({"keys": [rsa().jwk_with(&json!({"kid": "k"}))]}));
    let of = |name: &str| json!({"sub": "user", "iss": format!("https://{name}.test/"), "exp": NOW + 60});
    assert_eq!(judge_with(&cloud, two(), &rs256(rsa(), "k", &of("b"))), Ok("user".into()));
    let error = run(authorizer(&cloud, two()).handle(event(&rs256(rsa(), "k", &of("a"))))).unwrap_err();
    assert!(matches!(error, AuthorizerError::Unchecked(_)), "and nobody of its own in");
    assert_eq!(judge_with(&cloud, two(), &rs256(rsa(), "k", &of("c"))), Err(Refusal::IssuerUnknown));
}

#[test]
fn two_issuers_may_share_a_key_id_and_never_a_key() {
    let cloud = Cloud::at(NOW * 1000);
    issuer(
        &cloud,
        "https://a.test/jwks",
        &json!({"keys": [rsa().jwk_with(&json!({"kid": "k"})), p256().jwk_with(&json!({"kid": "only a"}))]}),
    );
    issuer(&cloud, "https://b.test/jwks", &json!({"keys": [other_rsa().jwk_with(&json!({"kid": "k"}))]}));
    let of = |name: &str| json!({"sub": name, "iss": format!("https://{name}.test/"), "exp": NOW + 60});
    assert_eq!(judge_with(&cloud, two(), &rs256(rsa(), "k", &of("a"))), Ok("a".into()));
    assert_eq!(judge_with(&cloud, two(), &rs256(other_rsa(), "k", &of("b"))), Ok("b".into()));
    assert_eq!(judge_with(&cloud, two(), &rs256(rsa(), "k", &of("b"))), Err(Refusal::SignatureInvalid));
    let foreign = p256().sign(Algorithm::Es256, &json!({"alg": "ES256", "kid": "only a"}), &of("b"));
    assert_eq!(judge_with(&cloud, two(), &foreign), Err(Refusal::KeyUnknown));
}
