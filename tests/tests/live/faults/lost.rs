//! API Gateway makes something, and the answer is lost: its creates are not idempotent, so a repeated one makes two.

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Fault};
use sumu_tests::gateway::wire::Answer;
use sumu_tests::{Result, ensure_eq};

use super::common::{count, inject, is_whole};
use crate::scene::scene;

const CREATES: [&str; 4] = ["CreateApi", "CreateAuthorizer", "CreateIntegration", "CreateDeployment"];

/// Each create is answered like this once, after it was carried out; each is found and none is made again.
fn each_is_found(name: &'static str, act: &Act) -> Result<()> {
    scene(name).play_from_the_start(async |scene| {
        let fault = |operation| inject(scene, Fault::once(Service::ApiGateway, operation, act.clone()));
        let injected = CREATES.map(fault);
        scene.apply().await?;
        scene.ready().await?;
        for (operation, injected) in CREATES.into_iter().zip(injected) {
            ensure_eq!((injected.hits(), count(scene, operation)), (1, 1), "{operation}: answers lost, and calls");
        }
        is_whole(scene).await
    })
}

#[test]
fn what_api_gateway_made_before_the_connection_broke_is_found_and_not_made_again() -> Result<()> {
    each_is_found("reset", &Act::LoseAnswer)
}

#[test]
#[ignore = "slow: make test-faults"]
fn what_api_gateway_made_behind_a_load_balancer_that_gave_up_is_found_and_not_made_again() -> Result<()> {
    each_is_found("timeout", &Act::Replace(Answer::gateway_timeout()))
}

#[test]
#[ignore = "slow: make test-faults"]
fn what_api_gateway_made_and_told_by_half_is_found_and_not_made_again() -> Result<()> {
    each_is_found("half", &Act::CutAnswer)
}
