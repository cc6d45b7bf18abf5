//! The issuer's keys: new ones, withdrawn ones, and none at all because the issuer is down.

use std::time::Duration;

use serde_json::{Value, json};
use sumu_tests::client::{Client, Credentials, Refusal};
use sumu_tests::issuer::{AUDIENCE, Issuer};
use sumu_tests::poll::{PATIENCE, eventually};
use sumu_tests::{Result, ensure, ensure_eq};

use crate::scene::{Scene, scene};

/// A key that is not known is asked for at most once in 30 seconds.
const ASKED_AGAIN_WITHIN: Duration = Duration::from_mins(1);

/// Lets the stack trust an issuer of the test's own, whose keys nobody else sees change.
async fn own_issuer(scene: &mut Scene) -> Result<Issuer> {
    let issuer = Issuer::start().await?;
    let trusted = json!({"jwksUri": issuer.jwks_uri(), "issuer": issuer.url(), "audiences": [AUDIENCE]});
    scene.change(&json!({"authorizer": {"issuers": [trusted]}}));
    scene.apply().await?;
    scene.ready().await?;
    Ok(issuer)
}

/// The decision about a token.
async fn connect(scene: &Scene, token: &str) -> Result<Result<Client, Refusal>> {
    Client::try_connect(scene.text("/endpoint")?, Credentials::Query(token)).await
}

async fn connects(scene: &Scene, token: &str) -> Result<()> {
    Client::connect(scene.text("/endpoint")?, Credentials::Query(token)).await?.ping().await.map(|_| ())
}

async fn refusal(scene: &Scene, token: &str) -> Result<u16> {
    Client::refused(scene.text("/endpoint")?, Credentials::Query(token)).await
}

/// Waits until the authorizer has logged a line.
async fn is_logged(scene: &Scene, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<()> {
    eventually(PATIENCE, &format!("{what} in the authorizer's log"), async || {
        let lines = scene.function_lines("authorizer").await?;
        ensure!(lines.iter().any(&is_it), "there is {lines:#?}");
        Ok(())
    })
    .await
}

#[test]
fn a_new_key_is_asked_for_when_a_token_names_it_and_a_withdrawn_one_ends_with_the_next_fetch() -> Result<()> {
    scene("keys").play_from_the_start(async |scene| {
        let issuer = own_issuer(scene).await?;
        let old = issuer.token("old").sign()?;
        connects(scene, &old).await?;
        ensure_eq!(issuer.fetches(), 1, "fetches before the rotation");

        issuer.publish_next()?;
        let new = issuer.token("new").sign()?;
        let mut asked_early = false;
        eventually(ASKED_AGAIN_WITHIN, "the new key to be known", async || {
            let decision = connect(scene, &new).await?;
            asked_early |= decision.is_err() && issuer.fetches() != 1;
            ensure!(decision.is_ok(), "the client was refused: {decision:?}");
            Ok(())
        })
        .await?;
        ensure!(!asked_early, "the issuer was asked, and the key that it has published was not known");
        ensure_eq!(issuer.fetches(), 2, "fetches: one for all who came with the new key");
        connects(scene, &old).await?;

        // What was fetched is good for minutes, so that nobody notices a short absence.
        issuer.withdraw_previous();
        connects(scene, &old).await?;
        ensure_eq!(issuer.fetches(), 2, "fetches while all keys are known and fresh");
        start_authorizer_anew(scene).await?;
        connects(scene, &new).await?;
        ensure_eq!(refusal(scene, &old).await?, 403, "the status for a key that was withdrawn");
        ensure_eq!(issuer.fetches(), 3, "fetches of the new process");
        is_logged(scene, "a key that is not known", |line| line["reason"] == "KeyUnknown").await
    })
}

/// A change of a function's configuration starts new processes, which know no keys.
async fn start_authorizer_anew(scene: &mut Scene) -> Result<()> {
    scene.edit(json!({"functions": {"memoryMiB": 320}})).await
}

#[test]
fn while_the_issuer_is_down_known_keys_serve_and_without_them_nobody_gets_in() -> Result<()> {
    scene("down").play_from_the_start(async |scene| {
        let issuer = own_issuer(scene).await?;
        let token = issuer.token("alice").sign()?;
        issuer.set_down(true);
        for _ in 0..3 {
            ensure_eq!(refusal(scene, &token).await?, 500, "the status while the keys cannot be had");
        }
        is_logged(scene, "why", |line| {
            line["message"] == "keys not fetched" && line["error"].as_str().is_some_and(|error| error.contains("503"))
        })
        .await?;
        is_logged(scene, "the fault", |line| line["outcome"] == "fault").await?;
        ensure!(!scene.function_lines("authorizer").await?.iter().any(|line| line["outcome"] == "allowed"), "allowed");

        issuer.set_down(false);
        connects(scene, &token).await?;
        issuer.set_down(true);
        connects(scene, &token).await?;
        let forged = issuer.token("mallory").key_id(Some("nobody's")).sign()?;
        ensure_eq!(refusal(scene, &forged).await?, 403, "the status for a key that nobody has");
        connects(scene, &token).await
    })
}
