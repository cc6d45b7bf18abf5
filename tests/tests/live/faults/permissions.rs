//! Lambda's control plane: permissions, event sources, throttles.

use std::time::{Duration, Instant};

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, When};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::{Result, ensure, ensure_eq};

use super::whole::{becomes_whole, calls_since, count, ensure_hit, inject, inject_one};
use crate::scene::scene;

const CONCURRENT: &str =
    "The function could not be updated due to a concurrent update operation. Please try again later.";

/// What one account may do with Lambda's control plane in a second.
const CALLS_A_SECOND: u32 = 15;

#[test]
fn an_event_source_that_was_made_without_an_answer_is_adopted() -> Result<()> {
    scene("adopted").play_from_the_start(async |scene| {
        // Only what was made: Lambda refuses the first ones while rights spread.
        let lost = inject_one(scene, Service::Lambda, "CreateEventSourceMapping", When::Always, Act::LoseSuccess);
        scene.apply().await?;
        becomes_whole(scene, 6).await?;
        let seen = scene.testbed.aws().gateway().seen(scene.key());
        let conflicts = seen.iter().filter(|seen| seen.operation == "CreateEventSourceMapping" && seen.status == 409);
        ensure!(conflicts.count() > 0, "nobody was told that the source exists already");
        ensure_hit(&[("CreateEventSourceMapping", &lost)])
    })
}

#[test]
fn a_permission_that_was_answered_and_not_written_is_given_again() -> Result<()> {
    scene("permission").play_from_the_start(async |scene| {
        let one = |when, act| inject_one(scene, Service::Lambda, "AddPermission", when, act);
        let busy = one(When::Calls(1, 2), Act::refuse(409, "ResourceConflictException", CONCURRENT));
        let answer = Answer::new(201, "application/json", r#"{"Statement":"{}"}"#);
        let not_written = one(When::Calls(1, 3), Act::Reply(answer));
        // The SDK asks again, and is told that the statement exists already.
        let unanswered = one(When::Calls(1, 1), Act::LoseAnswer);
        scene.apply().await?;
        becomes_whole(scene, 12).await?;
        ensure_eq!([busy.hits(), not_written.hits(), unanswered.hits()], [2, 3, 1], "hits of AddPermission");
        // Three that took effect, and one for each that did not or was asked twice.
        ensure_eq!(count(scene, Service::Lambda, "AddPermission"), 9, "calls of AddPermission");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn a_throttled_control_plane_is_not_called_more_often_than_it_may() -> Result<()> {
    const THROTTLED_FOR: Duration = Duration::from_secs(10);
    scene("lambda").play_from_the_start(async |scene| {
        let body = r#"{"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate exceeded"}"#;
        let answer = || {
            let answer =
                Answer::new(429, "application/json", body).with("x-amzn-errortype", "TooManyRequestsException");
            Act::Reply(answer.with("retry-after", "1"))
        };
        let all = inject(scene, Calls::Of(Service::Lambda), When::FromTheFirst(THROTTLED_FOR), answer());
        let some = inject(scene, Calls::Of(Service::Lambda), When::Chance { percent: 20, seed: 15 }, answer());
        let since = Instant::now();
        scene.apply().await?;
        scene
            .until("calls to be throttled", |_| {
                ensure!(some.calls() > 0, "the throttle is not over");
                Ok(())
            })
            .await?;
        let (calls, seconds) = (calls_since(scene, Service::Lambda, since), since.elapsed().as_secs_f64());
        println!("{calls} calls of Lambda in {seconds:.1} s");
        ensure!(f64::from(u32::try_from(calls)?) < f64::from(CALLS_A_SECOND) * seconds, "{calls} calls in {seconds} s");
        becomes_whole(scene, 20).await?;
        ensure_hit(&[("the whole of Lambda", &all), ("some of Lambda", &some)])
    })
}
