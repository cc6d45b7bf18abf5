//! Every reason to refuse a token: the client learns 403 and nothing more, the log which one it was.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::issuer::{Issuer, Token};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Error, Result, ensure, ensure_eq, eventually, workspace};

use crate::connect::nothing_of_a_token_is_logged;
use crate::scene::{Scene, scene, text};

/// `{"alg":"none","typ":"JWT"}`
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// `{"alg":"HS256","typ":"JWT"}`
const SYMMETRIC: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// `{"alg":"RS256","typ":"JWT","crit":["x"],"x":1}`
const CRITICAL: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImNyaXQiOlsieCJdLCJ4IjoxfQ";

#[test]
fn every_reason_to_refuse_a_token_is_403_for_the_client_and_a_word_in_the_log() -> Result<()> {
    scene("refusals").play(async |scene| {
        let tokens = bad_tokens(scene.testbed.issuer())?;
        let tried: BTreeSet<String> = tokens.iter().map(|(why, _)| (*why).to_owned()).collect();
        ensure_eq!(tried, reasons()?, "the reasons that are tried, and those that the authorizer has");
        let mut refused = Vec::new();
        for (why, token) in &tokens {
            for credentials in [Credentials::Query(token), Credentials::Header(token), Credentials::Subprotocol(token)]
            {
                let connection_id = is_refused(scene, credentials).await.with_context(|| (*why).to_owned())?;
                refused.push((*why, connection_id));
            }
        }
        reasons_are_logged(scene, &refused).await?;
        let tokens: Vec<String> = tokens.into_iter().map(|(_, token)| token).collect();
        nothing_of_a_token_is_logged(scene, &tokens).await
    })
}

#[test]
fn clocks_may_differ_by_the_leeway_and_expiry_counts_until_the_spec_says_otherwise() -> Result<()> {
    scene("lenient").spec(json!({"authorizer": {"leewaySeconds": 300}})).play(async |scene| {
        let issuer = scene.testbed.issuer();
        let token = || issuer.token("alice");
        let late = token().expires_in(-120).sign()?;
        let early = token().not_before_in(120).sign()?;
        let long_over = token().expires_in(-3600).sign()?;
        let endless = token().without("exp").sign()?;
        let not_yet = token().not_before_in(3600).sign()?;
        for good in [&late, &early] {
            Client::connect(scene.text("/endpoint")?, Credentials::Query(good)).await?.ping().await?;
        }
        for bad in [&long_over, &endless, &not_yet] {
            is_refused(scene, Credentials::Query(bad)).await?;
        }

        scene.edit(json!({"authorizer": {"verifyExpiration": false, "leewaySeconds": 0}})).await?;
        for good in [&long_over, &endless] {
            Client::connect(scene.text("/endpoint")?, Credentials::Query(good)).await?.ping().await?;
        }
        // That a token is not good yet is another thing.
        for bad in [&early, &not_yet] {
            is_refused(scene, Credentials::Query(bad)).await?;
        }

        scene.edit(json!({"authorizer": {"verifyExpiration": true}})).await?;
        is_refused(scene, Credentials::Query(&late)).await?;
        Ok(())
    })
}

/// The authorizer's words for its refusals, from its source.
fn reasons() -> Result<BTreeSet<String>> {
    let source = std::fs::read_to_string(workspace::root().join("lambdas/src/authorizer/verdict.rs"))?;
    let word =
        |line: &str| Some(line.trim().strip_prefix("Self::")?.split_once(" => \"")?.1.split_once('"')?.0.to_owned());
    Ok(source.lines().filter_map(word).collect())
}

/// Tokens that must not get anybody in, each with the reason.
fn bad_tokens(issuer: &Issuer) -> Result<Vec<(&'static str, String)>> {
    let token = || issuer.token("mallory");
    let signed = |token: Token| token.sign();
    let good = signed(token())?;
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        return Err(Error::new("the token does not have three parts"));
    };
    let alices = signed(issuer.token("alice"))?;
    let alices_claims = alices.split('.').nth(1).context("no claims")?;
    Ok(vec![
        ("SignatureInvalid", format!("{header}.{alices_claims}.{signature}")),
        ("SignatureInvalid", format!("{header}.{claims}.")),
        ("AlgorithmRefused", format!("{UNSIGNED}.{claims}.")),
        ("AlgorithmRefused", format!("{SYMMETRIC}.{claims}.{signature}")),
        ("CriticalExtension", format!("{CRITICAL}.{claims}.{signature}")),
        ("Expired", signed(token().expires_in(-3600))?),
        ("ExpirationMissing", signed(token().without("exp"))?),
        ("NotYetValid", signed(token().not_before_in(3600))?),
        ("IssuedInFuture", signed(token().claim("iat", json!(4_000_000_000_u64)))?),
        ("DateInvalid", signed(token().claim("exp", json!("tomorrow")))?),
        ("DateInvalid", signed(token().claim("nbf", json!(null)))?),
        ("AudienceRefused", signed(token().audience("somebody-else"))?),
        ("AudienceRefused", signed(token().without("aud"))?),
        ("IssuerUnknown", signed(token().issuer("https://elsewhere.example/"))?),
        ("IssuerUnknown", signed(token().without("iss"))?),
        ("KeyUnknown", signed(token().key_id(Some("nobody's")))?),
        ("PrincipalMissing", signed(token().without("sub"))?),
        ("PrincipalMissing", signed(token().claim("sub", json!(7)))?),
        ("PrincipalInvalid", signed(token().claim("sub", json!("")))?),
        ("PrincipalInvalid", signed(token().claim("sub", json!("two\nlines")))?),
        ("TokenTooLong", signed(token().claim("more", json!("x".repeat(13_000))))?),
        ("Malformed", "no-token-at-all-but-long-enough-to-be-found".to_owned()),
        ("Malformed", format!("{header}.{header}{claims}.{signature}")),
    ])
}

/// Tries to connect and returns the id under which the gateway refused it.
async fn is_refused(scene: &Scene, credentials: Credentials<'_>) -> Result<String> {
    let Err(refusal) = Client::try_connect(scene.text("/endpoint")?, credentials).await? else {
        return Err(Error::new("the client got in"));
    };
    ensure_eq!(refusal.status, 403, "the status, with {}", refusal.body);
    let body: Value = serde_json::from_str(&refusal.body).with_context(|| refusal.body.clone())?;
    let told: Vec<&String> = body.as_object().context("no object")?.keys().collect();
    ensure_eq!(told, ["connectionId", "message", "requestId"], "what the client is told");
    ensure!(!reasons()?.iter().any(|reason| refusal.body.contains(reason)), "the client is told why: {body}");
    Ok(text(&body, "/connectionId")?.to_owned())
}

async fn reasons_are_logged(scene: &Scene, refused: &[(&str, String)]) -> Result<()> {
    eventually(PATIENCE, "the reasons in the log", async || {
        let lines = scene.function_lines("authorizer").await?;
        for (why, connection_id) in refused {
            let of_client = |line: &&Value| line["connection_id"] == json!(connection_id);
            let logged: Vec<_> =
                lines.iter().filter(of_client).map(|line| (&line["outcome"], &line["reason"])).collect();
            ensure_eq!(logged, [(&json!("refused"), &json!(why))], "what is logged of {why}, {connection_id}");
        }
        Ok(())
    })
    .await
}
