//! Tokens, key documents and authorizer events: nobody is let in without a signature of the issuer's.

use std::sync::{LazyLock, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt;
use serde_json::Value;
use sumu_contract::settings::{AuthorizerSettings, Issuer, TokenSource};

use crate::authorizer::keys::KeySet;
use crate::authorizer::signature::Algorithm;
use crate::authorizer::token::{Signed, Token, find};
use crate::authorizer::verdict::{Rules, verdict, verify_signature};
use crate::authorizer::{Authorizer, AuthorizerError};
use crate::ports::{Clock, KeyDocument, Keys, PortError};

/// The issuer's public keys. Nobody has the private ones: they were forgotten once the good tokens were signed.
const KEYS: &str = include_str!("../../fuzz/keys.json");

/// The only tokens that the issuer ever signed.
const GOOD: [&str; 4] = [
    include_str!("../../fuzz/corpus/token/good_rs256"),
    include_str!("../../fuzz/corpus/token/good_es256"),
    include_str!("../../fuzz/corpus/token/good_es512"),
    include_str!("../../fuzz/corpus/token/good_eddsa"),
];

pub(super) const SOURCES: [TokenSource; 3] = [TokenSource::QueryString, TokenSource::Header, TokenSource::Subprotocol];

/// Epoch seconds at which the good tokens are valid.
const NOW: u64 = 1_800_000_000;

static SETTINGS: LazyLock<AuthorizerSettings> = LazyLock::new(|| AuthorizerSettings {
    issuers: vec![Issuer {
        jwks_uri: "https://issuer.test/jwks".into(),
        issuer: Some("https://issuer.test/".into()),
        audiences: vec!["sumu".into()],
    }],
    verify_expiration: true,
    leeway_seconds: 30,
    principal_claim: "sub".into(),
    token_sources: SOURCES.to_vec(),
});

/// Whether the issuer signed what this text says. A signature may have a second form that is valid too; what is signed
/// has one alone.
fn was_signed(text: &str) -> bool {
    let signed = |text: &str| text.rsplit_once('.').map(|(signed, _)| signed.to_owned());
    GOOD.iter().any(|good| signed(good) == signed(text))
}

/// A token: it reads back as it was written, and only what the issuer signed is believed.
pub fn token(bytes: &[u8]) {
    static ISSUERS_KEYS: LazyLock<Option<KeySet>> = LazyLock::new(|| KeySet::parse(KEYS.as_bytes()).ok());
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Some(keys) = ISSUERS_KEYS.as_ref() else { return };
    assert_eq!(keys.len(), 4, "the issuer's keys can be read");
    if let Ok(signed) = Signed::parse(text) {
        let printed = format!("{}.{}", signed.text, URL_SAFE_NO_PAD.encode(&signed.signature));
        assert_eq!(printed, text, "a token has one form");
        assert!(is_signed_text(signed.text, signed.payload));
        if verify_signature(&signed, keys).is_ok() {
            assert!(was_signed(text), "a signature that the issuer never made");
        }
    }
    let Ok(token) = Token::parse(text) else { return };
    let AuthorizerSettings { verify_expiration, leeway_seconds, principal_claim, issuers, .. } = &*SETTINGS;
    let rules = Rules { verify_expiration: *verify_expiration, leeway_seconds: *leeway_seconds, principal_claim };
    if let Ok(principal) = verdict(&token, keys, &issuers[0], rules, NOW) {
        assert!(was_signed(text), "a token that the issuer never signed");
        assert_eq!(principal.user_id, "user");
    }
}

fn is_signed_text(text: &str, payload: &str) -> bool {
    super::is_within(payload, text) && text.split_once('.').is_some_and(|(_, rest)| rest == payload)
}

/// A key document: it reads the same twice, and no key of it takes the absence of a signature for one.
pub fn key_document(bytes: &[u8]) {
    let Ok(keys) = KeySet::parse(bytes) else { return };
    let again = KeySet::parse(&[b" ", bytes, b"\n"].concat()).map(|keys| keys.len());
    assert_eq!(again.ok(), Some(keys.len()), "whitespace around a document is nothing");
    for algorithm in Algorithm::ALL {
        let signed = Signed { text: "e30.e30", payload: "e30", signature: Vec::new(), algorithm, key_id: None };
        assert!(verify_signature(&signed, &keys).is_err(), "{algorithm:?} without a signature");
        let fitting = keys.meant_by(&signed).count();
        assert!(fitting <= keys.len());
    }
}

/// An issuer that is always there, at a time that never goes on.
#[derive(Debug)]
struct Still;

impl Keys for Still {
    async fn fetch(&self, _: &str) -> Result<KeyDocument, PortError> {
        Ok(KeyDocument { body: KEYS.into(), cache_control: Some("max-age=86400".into()) })
    }
}

impl Clock for Still {
    fn now(&self) -> u64 {
        NOW * 1000
    }

    async fn pause(&self, _: std::time::Duration) {}

    async fn wait(&self, _: std::time::Duration) {}
}

/// An event of a REQUEST authorizer: who is let in shows a token of the issuer's, and who is not gets nothing else.
pub fn authorizer_event(bytes: &[u8]) {
    static AUTHORIZER: OnceLock<Authorizer<Still, Still>> = OnceLock::new();
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    let shown = find(&event, &SOURCES);
    let has_method = event["methodArn"].is_string();
    let authorizer = AUTHORIZER.get_or_init(|| Authorizer::new(SETTINGS.clone(), Still, Still));
    let answer = authorizer.handle(event).now_or_never();
    match answer {
        None => assert!(answer.is_some(), "nothing here waits"),
        Some(Err(error)) => match error {
            AuthorizerError::NoMethod => assert!(!has_method),
            AuthorizerError::Unauthorized => assert!(has_method && shown.is_none()),
            AuthorizerError::Unchecked(_) => assert_eq!(error.to_string(), "", "the issuer is always there"),
        },
        Some(Ok(policy)) => {
            let statement = &policy["policyDocument"]["Statement"];
            assert_eq!(statement.as_array().map(Vec::len), Some(1));
            match statement[0]["Effect"].as_str() {
                Some("Allow") => assert!(shown.is_some_and(|token| was_signed(&token)), "let in without a good token"),
                effect => assert_eq!((effect, policy.get("context")), (Some("Deny"), None)),
            }
        }
    }
}
