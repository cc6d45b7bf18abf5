//! One stack from `kubectl apply` to its deletion, to show that the testbed's parts work together.

use sumu_tests::client::{Client, Credentials};
use sumu_tests::operator::{Operator, Settings};
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, poll, story};

/// What a basic stack has something of, by the inventory's words.
const KINDS: [&str; 16] = [
    "api",
    "authorizer",
    "deployment",
    "event source",
    "function",
    "integration",
    "log group",
    "permission",
    "queue",
    "role",
    "route",
    "route response",
    "stage",
    "subscription",
    "table",
    "topic",
];

#[test]
fn one_stack_from_its_manifest_to_a_client_and_to_nothing() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("smoke").await?;
        let mut operator = Operator::start(testbed, &Settings::namespace(&namespace))?;
        let stack = Stack::apply(testbed, &stack::manifest(testbed, &namespace, "live")).await?;
        let status = stack.ready().await?;

        let inventory = testbed.aws().inventory(&namespace).await?;
        let absent: Vec<_> = KINDS.into_iter().filter(|kind| inventory.count(kind) == 0).collect();
        ensure!(absent.is_empty(), "there is no {absent:?} in\n{inventory}");

        let endpoint = status["endpoint"].as_str().context("no endpoint")?;
        let api = status["apiId"].as_str().context("no API")?;
        ensure_eq!(endpoint, testbed.front().websocket_url(api, "live"), "the clients' URL");
        let token = testbed.issuer().token("alice").sign()?;
        for credentials in [Credentials::Query(&token), Credentials::Header(&token), Credentials::Subprotocol(&token)] {
            let mut client = Client::connect(endpoint, credentials).await?;
            client.ensure_silent().await?;
            client.close().await?;
        }
        ensure_eq!(Client::refused(endpoint, Credentials::Nothing).await?, 401, "without a token");
        ensure_eq!(Client::refused(endpoint, Credentials::Query("wrong")).await?, 403, "with a bad token");

        let logs = testbed.aws().function_logs(&namespace).await?;
        ensure!(logs.contains("-authorizer START"), "the authorizer has logged nothing:\n{logs}");

        stack.delete().await?;
        stack.gone().await?;
        let left = testbed.aws().inventory(&namespace).await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        ensure!(operator.passes()?.iter().any(|pass| pass.aws_writes > 0), "the log tells of no write");
        ensure!(operator.memory_kib()? > 0, "the operator holds no memory");
        ensure!(operator.terminate()?.success(), "the operator did not end well");
        Ok(())
    })
}

#[test]
fn an_operator_that_is_killed_is_gone_and_another_can_follow() -> Result<()> {
    story(async |testbed| {
        let namespace = testbed.kubernetes().namespace("smoke").await?;
        let settings = Settings::namespace(&namespace).resync_seconds(60);
        let mut operator = Operator::start(testbed, &settings)?;
        eventually(poll::PATIENCE, "the operator to log something", async || {
            operator.ensure_running()?;
            ensure!(!operator.log()?.is_empty(), "its log is empty");
            Ok(())
        })
        .await?;
        operator.kill()?;
        ensure!(operator.ensure_running().is_err(), "it lives");
        Operator::start(testbed, &settings)?.ensure_running()
    })
}
