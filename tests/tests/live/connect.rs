//! Who may connect, and how.

use std::collections::BTreeSet;

use serde_json::json;
use sumu_tests::client::{Client, Credentials};
use sumu_tests::{Context, Result, ensure, ensure_eq};

use crate::scene::{Scene, scene, text};

#[test]
fn good_tokens_of_both_algorithms_connect_from_every_source_and_no_token_is_logged() -> Result<()> {
    scene("connect").play(async |scene| {
        let issuer = scene.testbed.issuer();
        let alice = issuer.token("alice").sign()?;
        let bob = issuer.token("bob").es256().sign()?;
        let mut clients = Vec::new();
        for token in [&alice, &bob] {
            for credentials in [Credentials::Query(token), Credentials::Header(token), Credentials::Subprotocol(token)]
            {
                let client = Client::connect(scene.text("/endpoint")?, credentials).await?;
                let chosen = matches!(credentials, Credentials::Subprotocol(_)).then_some("sumu");
                ensure_eq!(client.subprotocol(), chosen, "the subprotocol that was chosen");
                clients.push(client);
            }
        }
        let mut connections = BTreeSet::new();
        for client in &mut clients {
            connections.insert(text(&client.ping().await?, "/connectionId")?.to_owned());
        }
        ensure_eq!(connections.len(), 6, "connections, of which each has its own id: {connections:?}");
        rows_name_the_users(scene, &connections).await?;

        // There are several places for a token, so it is the authorizer that says so.
        let status = Client::refused(scene.text("/endpoint")?, Credentials::Nothing).await?;
        ensure_eq!(status, 401, "the status without a token");
        nothing_of_a_token_is_logged(scene, &[alice, bob]).await
    })
}

/// Each open connection has a row with its user and its times.
async fn rows_name_the_users(scene: &Scene, connections: &BTreeSet<String>) -> Result<()> {
    let client = aws_sdk_dynamodb::Client::new(&scene.sdk().await);
    let found = client.scan().table_name(scene.text("/connectionsTable/name")?).send().await?;
    let mut seen = BTreeSet::new();
    let mut users = Vec::new();
    for row in found.items() {
        let word = |name: &str| row.get(name).and_then(|value| value.as_s().ok()).with_context(|| format!("no {name}"));
        // A time to live that is no number is none for DynamoDB.
        let number = |name: &str| -> Result<u64> {
            let value = row.get(name).and_then(|value| value.as_n().ok());
            Ok(value.with_context(|| format!("no number {name}"))?.parse()?)
        };
        seen.insert(word("connection_id")?.clone());
        users.push(word("user_id")?.clone());
        let lives = number("delete_at")?.checked_sub(number("connected_at")? / 1000);
        ensure_eq!(lives, Some(7200), "seconds from connecting to the deletion of {row:?}");
        ensure!(number("expires_at")? > number("connected_at")? / 1000, "an expired token: {row:?}");
    }
    users.sort_unstable();
    ensure_eq!(seen, *connections, "the connections in the table");
    ensure_eq!(users, ["alice", "alice", "alice", "bob", "bob", "bob"], "the users in the table");
    Ok(())
}

/// Fails when a log has a part of one of these tokens.
pub async fn nothing_of_a_token_is_logged(scene: &Scene, tokens: &[String]) -> Result<()> {
    // Without the header: it is the same for all, and says nothing.
    let secrets: BTreeSet<&str> =
        tokens.iter().flat_map(|token| token.split('.').skip(usize::from(token.contains('.')))).collect();
    let functions = scene.testbed.aws().function_logs(&scene.prefix()).await?;
    ensure!(functions.contains("-authorizer {"), "the authorizer has logged nothing:\n{functions}");
    let logs = [("functions", functions), ("operator", scene.operator_log()?)];
    for (whose, log) in &logs {
        for secret in secrets.iter().filter(|secret| secret.len() > 20) {
            let line = log.lines().find(|line| line.contains(secret));
            ensure!(line.is_none(), "the log of the {whose} tells a part of a token: {line:?}");
        }
    }
    Ok(())
}

#[test]
fn a_token_in_a_place_that_is_not_asked_for_is_none() -> Result<()> {
    scene("sources").spec(json!({"authorizer": {"tokenSources": ["QueryString"]}})).play(async |scene| {
        let endpoint = scene.text("/endpoint")?;
        let token = scene.testbed.issuer().token("alice").sign()?;
        for credentials in [Credentials::Nothing, Credentials::Header(&token), Credentials::Subprotocol(&token)] {
            ensure_eq!(Client::refused(endpoint, credentials).await?, 401, "the status for {credentials:?}");
        }
        Client::connect(endpoint, Credentials::Query(&token)).await?.ping().await?;
        Ok(())
    })
}
