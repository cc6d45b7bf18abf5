//! Answers that are none: odd bodies, broken and dead connections, wrong clocks, and some of each at random.

use std::time::Duration;

use sumu_tests::gateway::call::Service::{self, ApiGateway, DynamoDb, Iam, Lambda, Logs, Sns, Sqs};
use sumu_tests::gateway::fault::{Act, Calls, Injected, When};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::{Result, ensure, ensure_eq};

use super::whole::{becomes_whole, count, ensure_hit, inject, inject_one, told};
use crate::scene::scene;

fn null_message() -> Act {
    Act::Reply(Answer::new(500, "application/json", r#"{"message":null}"#))
}

/// As measured on SQS.
fn no_body() -> Act {
    let answer = Answer::new(500, "application/x-amz-json-1.0", "").with("x-amzn-errortype", "InternalFailure");
    Act::Reply(answer)
}

fn html_that_says_json() -> Act {
    Act::Reply(Answer::new(503, "application/json", "<html><body>503 Service Unavailable</body></html>"))
}

fn nothing_at_all(kind: &'static str) -> Act {
    Act::Reply(Answer::new(200, kind, ""))
}

fn skewed() -> Act {
    let message = "The difference between the request time and the current time is too large.";
    Act::refuse(403, "RequestTimeTooSkewed", message)
}

fn unsigned() -> Act {
    let message =
        "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z (20260101T001000Z - 5 min.)";
    Act::refuse(403, "SignatureDoesNotMatch", message)
}

#[test]
fn errors_with_odd_bodies_and_broken_connections_pass() -> Result<()> {
    scene("odd").play_from_the_start(async |scene| {
        let one = |service, operation, act| inject_one(scene, service, operation, When::Calls(1, 2), act);
        let faults = [
            ("GetApis", one(ApiGateway, "GetApis", null_message())),
            ("CreateQueue", one(Sqs, "CreateQueue", no_body())),
            ("DescribeTable", one(DynamoDb, "DescribeTable", html_that_says_json())),
            ("CreateLogGroup", one(Logs, "CreateLogGroup", html_that_says_json())),
            ("CreateRole", one(Iam, "CreateRole", Act::Drop)),
            ("CreateTopic", one(Sns, "CreateTopic", Act::CutAnswer)),
            ("GetFunction", one(Lambda, "GetFunction", Act::gateway_timeout())),
        ];
        scene.apply().await?;
        becomes_whole(scene, 12).await?;
        faults.iter().try_for_each(|(what, fault)| ensure_hit(&[(*what, fault)]))
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_answer_with_nothing_in_it_is_no_list_of_nothing() -> Result<()> {
    scene("nothing").play(async |scene| {
        let json = "application/json";
        let faults = [
            ("GetApis", inject_one(scene, ApiGateway, "GetApis", When::Always, nothing_at_all(json))),
            ("GetRoutes", inject_one(scene, ApiGateway, "GetRoutes", When::Calls(1, 4), nothing_at_all(json))),
            ("ListQueueTags", inject_one(scene, Sqs, "ListQueueTags", When::Calls(1, 4), nothing_at_all(json))),
            ("GetRole", inject_one(scene, Iam, "GetRole", When::Calls(1, 4), nothing_at_all("text/xml"))),
        ];
        let before = scene.inventory().await?;
        super::whole::ask_for_a_look(scene).await?;
        told(scene, "Ready", "Unreachable", &["could not be read"]).await?;
        ensure_eq!(scene.inventory().await?, before, "what is there");
        ensure_eq!(count(scene, ApiGateway, "CreateApi"), 1, "calls of CreateApi");
        ensure_hit(&[("GetApis", &faults[0].1)])?;
        for (_, fault) in &faults {
            fault.end();
        }
        becomes_whole(scene, 0).await?;
        ensure_eq!(scene.inventory().await?, before, "what is there");

        let empty = inject_one(scene, ApiGateway, "GetApis", When::Calls(1, 3), nothing_at_all(json));
        scene.delete().await?;
        ensure_hit(&[("GetApis while deleting", &empty)])
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_clock_that_is_wrong_for_a_while_is_told_and_passes() -> Result<()> {
    scene("clock").play_from_the_start(async |scene| {
        let late = When::FromTheFirst(Duration::from_secs(3));
        let signature = inject(scene, Calls::Of(Iam), late.clone(), unsigned());
        let skew = inject(scene, Calls::Of(Lambda), late, skewed());
        scene.apply().await?;
        told(scene, "Ready", "AccessDenied", &[]).await?;
        becomes_whole(scene, 0).await?;
        ensure!(signature.hits() + skew.hits() > 0, "nothing was hit");
        let refused = signature.hits() + skew.hits();
        ensure!(refused <= 12, "{refused} calls with a wrong clock");
        Ok(())
    })
}

/// Two that hang and one that trickles, one after the other at worst.
const GIVEN_UP_WITHIN: Duration = Duration::from_mins(5);

#[test]
#[ignore = "slow: make test-faults"]
fn calls_that_hang_and_answers_that_trickle_are_given_up() -> Result<()> {
    scene("hang").play_from_the_start(async |scene| {
        let hang = inject_one(scene, Iam, "GetRole", When::Calls(1, 1), Act::Hang);
        let hang_create = inject_one(scene, ApiGateway, "CreateApi", When::Calls(1, 1), Act::Hang);
        let trickle = Act::Trickle(Duration::from_secs(1));
        let trickle = inject_one(scene, Lambda, "GetFunction", When::Calls(24, 24), trickle);
        scene.apply().await?;
        let slow = "application/json";
        let empty = inject_one(scene, ApiGateway, "GetApis", When::Calls(1, 1), nothing_at_all(slow));
        // Half a minute of silence, and a minute of single bytes.
        scene.stack.ready_within(GIVEN_UP_WITHIN).await?;
        becomes_whole(scene, 2).await?;
        ensure_hit(&[("GetRole", &hang), ("CreateApi", &hang_create), ("GetApis", &empty)])?;
        ensure_hit(&[("GetFunction", &trickle)])?;
        // The one that hung never ended, so it is in no list of calls.
        ensure_eq!(count(scene, ApiGateway, "CreateApi"), 1, "calls of CreateApi that were answered");
        Ok(())
    })
}

/// One kind of noise a service, another one for each seed, in two of a hundred calls.
fn noise(seed: usize) -> Vec<(Service, Act)> {
    let services = [ApiGateway, Lambda, DynamoDb, Sqs, Iam, Sns, Logs];
    let acts = [
        null_message(),
        html_that_says_json(),
        Act::Drop,
        Act::LoseAnswer,
        Act::CutAnswer,
        Act::refuse(429, "TooManyRequestsException", "Rate exceeded"),
        skewed(),
    ];
    services.into_iter().enumerate().map(|(at, service)| (service, acts[(at + seed) % acts.len()].clone())).collect()
}

fn survives_noise(name: &'static str, seed: usize) -> Result<()> {
    scene(name).play_from_the_start(async |scene| {
        let faults: Vec<_> = noise(seed)
            .into_iter()
            .zip(0..)
            .map(|((service, act), at)| {
                let when = When::Chance { percent: 2, seed: seed as u64 * 10 + at };
                inject(scene, Calls::Of(service), when, act)
            })
            .collect();
        scene.apply().await?;
        becomes_whole(scene, 30).await?;
        scene.edit(serde_json::json!({"tags": {"team": "chat"}, "functions": {"memoryMiB": 384}})).await?;
        scene.delete().await?;
        let hits: Vec<u64> = faults.iter().map(Injected::hits).collect();
        let calls: u64 = faults.iter().map(Injected::calls).sum();
        println!("of {calls} calls, hit were {hits:?}");
        ensure!(hits.iter().sum::<u64>() > 0, "nothing was hit");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_stack_is_made_changed_and_deleted_while_calls_fail_at_random() -> Result<()> {
    survives_noise("noise", 1)
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_stack_is_made_changed_and_deleted_whichever_service_fails_in_which_way() -> Result<()> {
    (2..8).try_for_each(|seed| survives_noise("noises", seed))
}
