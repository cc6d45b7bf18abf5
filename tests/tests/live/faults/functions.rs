//! Lambda is at work on a function or an event source, and takes no other change meanwhile.

use std::time::{Duration, Instant};

use aws_sdk_lambda::primitives::Blob;
use serde_json::json;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Fault};
use sumu_tests::gateway::{Gateway, Pace};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually, workspace};

use super::common::{behind, calls, inject, is_whole, says, seen};
use super::whole::ask_for_a_look;
use crate::scene::{Scene, names_begin, scene};

const SLOWLY: Duration = Duration::from_secs(5);

/// How many calls of an operation there were and how many of them were refused.
fn made_and_refused(gateway: &Gateway, scene: &Scene, operation: &str) -> (usize, usize) {
    let seen = seen(gateway, scene, operation);
    (seen.len(), seen.iter().filter(|seen| seen.status >= 300).count())
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_function_that_is_pending_or_in_progress_gets_each_change_once_and_in_the_end_all() -> Result<()> {
    scene("states").play_from_the_start(async |scene| {
        let gateway = behind(scene, Pace { function: SLOWLY, ..Pace::QUICK }, &[]).await?;
        scene.apply().await?;
        says(scene, "Functions", "Waiting", &["is Pending"]).await?;
        scene.ready().await?;
        let created = seen(&gateway, scene, "CreateFunction");
        ensure_eq!(created.iter().filter(|seen| seen.status < 300).count(), 4, "functions made");

        // Its code by hand, and its configuration by the spec.
        let lambda = aws_sdk_lambda::Client::new(&scene.sdk().await);
        let routes = format!("{}-routes", names_begin(&scene.status)?);
        let package = scene.testbed.functions()?.join(workspace::architecture()).join("watchdog.zip");
        lambda
            .update_function_code()
            .function_name(&routes)
            .zip_file(Blob::new(std::fs::read(package)?))
            .send()
            .await?;
        scene.edit(json!({"functions": {"memoryMiB": 384}})).await?;
        ensure_eq!(made_and_refused(&gateway, scene, "UpdateFunctionCode"), (1, 0), "changes of code");
        ensure_eq!(made_and_refused(&gateway, scene, "UpdateFunctionConfiguration"), (4, 0), "changes of settings");
        let found = lambda.get_function_configuration().function_name(&routes).send().await?;
        ensure_eq!(found.memory_size(), Some(384), "the memory of the function whose code was put right");
        is_whole(scene).await?;
        scene.delete().await
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_event_source_that_is_stuck_keeps_its_function_role_and_queues_until_it_is_gone() -> Result<()> {
    scene("stuck").play_from_the_start(async |scene| {
        let gateway = behind(scene, Pace { source: SLOWLY, ..Pace::QUICK }, &[]).await?;
        scene.apply().await?;
        says(scene, "Functions", "Waiting", &["event source", "is Creating"]).await?;
        eventually(PATIENCE, "three event sources", async || {
            let made = seen(&gateway, scene, "CreateEventSourceMapping");
            ensure!(made.iter().filter(|seen| seen.status < 300).count() == 3, "{} calls", made.len());
            Ok(())
        })
        .await?;
        scene.delete().await?;
        let deletions = seen(&gateway, scene, "DeleteEventSourceMapping");
        let (done, refused): (Vec<_>, Vec<_>) = deletions.iter().partition(|seen| seen.status < 300);
        ensure_eq!(done.len(), 3, "event sources deleted");
        ensure!((1..=9).contains(&refused.len()), "{} deletions refused while it was Creating", refused.len());
        let gone = || done.iter().map(|seen| seen.at + SLOWLY);
        let (first, last) = (gone().min().context("none")?, gone().max().context("none")?);
        // Authorizer and routes have no event source, and pusher and watchdog wait each for their own.
        for (operation, before, early) in
            [("DeleteFunction", first, 2), ("DeleteRole", first, 2), ("DeleteQueue", first, 0)]
                .into_iter()
                .chain([("DeleteFunction", last, 3), ("DeleteRole", last, 3)])
        {
            let count = seen(&gateway, scene, operation).iter().filter(|seen| seen.at < before).count();
            ensure!(count <= early, "{count} of {operation} while event sources were there");
        }
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_failed_update_of_a_function_is_told_with_lambdas_reason_and_made_again_after_a_minute() -> Result<()> {
    scene("failedupdate").play(async |scene| {
        let updates = |scene: &Scene| seen(scene.testbed.aws().gateway(), scene, "UpdateFunctionConfiguration");
        let before = updates(scene).len();
        let failed = Act::rewrite(|answer| {
            answer["Configuration"]["LastUpdateStatus"] = "Failed".into();
            answer["Configuration"]["LastUpdateStatusReason"] =
                "The role lacks a right (Service: Kms; Request ID: 6f0c-1; Proxy: null)".into();
        });
        let name = format!("{}-routes", names_begin(&scene.status)?);
        let fault = inject(scene, Fault::of(calls(Service::Lambda, "GetFunction"), failed).about(&name));
        let began = Instant::now();
        ask_for_a_look(scene).await?;
        let told = "AWS has given up on the last update of function routes: The role lacks a right";
        let object = says(scene, "Functions", "Failed", &[told]).await?;
        ensure!(!object["status"].to_string().contains("6f0c-1"), "a request's id is told: {}", object["status"]);
        // All of it reads as wanted, and another look is no reason to try again sooner.
        ask_for_a_look(scene).await?;
        let mut tried = Vec::new();
        eventually(Duration::from_mins(3), "two more updates", async || {
            tried = updates(scene).split_off(before);
            ensure!(tried.len() >= 2, "tried {} times", tried.len());
            Ok(())
        })
        .await?;
        let times = [began, tried[0].at, tried[1].at];
        let rests: Vec<u64> = times.windows(2).map(|two| (two[1] - two[0]).as_secs()).collect();
        ensure!(rests.iter().all(|rest| *rest >= 59), "it rested for {rests:?} seconds");
        says(scene, "Functions", "Failed", &[told]).await?;
        fault.end();
        scene.ready().await?;
        is_whole(scene).await
    })
}
