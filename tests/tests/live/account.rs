//! What a run in a real account needs beside the stories, tried on the emulator.

use aws_config::SdkConfig;
use serde_json::json;
use sumu_tests::account::{issuer, sweep};
use sumu_tests::client::{Client, Credentials};
use sumu_tests::{Result, ensure, ensure_eq, story};

use crate::scene::scene;

#[test]
fn a_sweep_removes_what_an_operator_that_is_gone_has_left_and_nothing_else() -> Result<()> {
    scene("swept").play(async |scene| {
        let sdk: SdkConfig = scene.sdk().await;
        // Of another run, whose name begins as this one's.
        let neighbour = scene.prefix().replace(&scene.namespace, &format!("{}0", scene.namespace)) + "queue";
        let sqs = aws_sdk_sqs::Client::new(&sdk);
        let url = sqs.create_queue().queue_name(&neighbour).send().await?;
        scene.kill_operator()?;

        let found = sweep::sweep(&sdk, &scene.prefix()).await?;
        ensure!(found.count("function") == 4 && found.count("table") == 2, "found\n{found}");
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left:\n{left}");
        // Fails when there is no such queue.
        sqs.delete_queue().queue_url(url.queue_url().unwrap_or_default()).send().await?;

        // The object is let go by an operator that finds nothing.
        scene.start_operator()?;
        scene.delete().await
    })
}

#[test]
fn a_sweep_of_everything_is_refused() -> Result<()> {
    story(async |testbed| {
        let sdk = testbed.aws().sdk().await;
        for prefix in ["", "sumu-", "prod-"] {
            let swept = sweep::sweep(&sdk, prefix).await;
            ensure!(swept.is_err(), "{prefix:?} was swept");
        }
        Ok(())
    })
}

#[test]
fn keys_are_published_by_a_function_that_a_sweep_removes() -> Result<()> {
    story(async |testbed| {
        let sdk = testbed.aws().sdk().await;
        let keys = json!({"keys": [{"kid": "one"}]});
        let url = issuer::publish(&sdk, "sumu-published-", &keys).await?;
        // The name is AWS's; the emulator answers to it at its own address.
        let host = url.trim_start_matches("https://");
        let address = testbed.aws().emulator();
        let client = reqwest::Client::builder().resolve(host, address).build()?;
        issuer::until_public(&client, &format!("http://{host}:{}", address.port()), &keys).await?;
        let found = sweep::sweep(&sdk, "sumu-published-").await?;
        ensure_eq!((found.count("function"), found.count("role")), (1, 1), "found\n{found}");
        Ok(())
    })
}

#[test]
fn a_client_takes_no_certificate_that_nobody_vouches_for() -> Result<()> {
    story(async |testbed| {
        // The API server's is made by itself.
        let url = testbed.kubernetes().url().replace("https://", "wss://");
        let Err(error) = Client::try_connect(&url, Credentials::Nothing).await else {
            return Err(sumu_tests::Error::new("it was taken"));
        };
        ensure!(error.to_string().contains("certificate"), "{error}");
        Ok(())
    })
}
