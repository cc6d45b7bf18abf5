//! What AWS does badly at times, injected by the gateway for one namespace: the stack becomes what it should be.

#[path = "faults/answers.rs"]
mod answers;
#[path = "faults/api.rs"]
mod api;
#[path = "faults/common.rs"]
pub mod common;
#[path = "faults/dataplane.rs"]
mod dataplane;
#[path = "faults/denials.rs"]
mod denials;
#[path = "faults/functions.rs"]
mod functions;
#[path = "faults/lists.rs"]
mod lists;
#[path = "faults/lost.rs"]
mod lost;
#[path = "faults/permissions.rs"]
mod permissions;
#[path = "faults/queues.rs"]
mod queues;
#[path = "faults/quotas.rs"]
mod quotas;
#[path = "faults/rates.rs"]
pub mod rates;
#[path = "faults/roles.rs"]
mod roles;
#[path = "faults/small_services.rs"]
mod small_services;
#[path = "faults/tables.rs"]
mod tables;
#[path = "faults/undoing.rs"]
mod undoing;
#[path = "faults/whole.rs"]
pub mod whole;

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Injected, When};
use sumu_tests::{Result, ensure, ensure_eq};

use crate::scene::{Scene, ensure_complete, scene};

/// Calls that make something and say in their input what it is called.
const CREATES: [(Service, &str); 8] = [
    (Service::ApiGateway, "CreateApi"),
    (Service::ApiGateway, "CreateAuthorizer"),
    (Service::ApiGateway, "CreateIntegration"),
    (Service::DynamoDb, "CreateTable"),
    (Service::Sqs, "CreateQueue"),
    (Service::Iam, "CreateRole"),
    (Service::Lambda, "CreateFunction"),
    (Service::Lambda, "CreateEventSourceMapping"),
];

/// Injects a fault of the first call of each create in the scene's namespace.
fn inject(scene: &Scene, act: &Act) -> Vec<(&'static str, Injected)> {
    let gateway = scene.testbed.aws().gateway();
    let fault = |service, operation| Fault::once(service, operation, act.clone()).by(scene.key());
    CREATES.iter().map(|(service, operation)| (*operation, gateway.inject(fault(*service, operation)))).collect()
}

async fn becomes_complete(scene: &mut Scene, injected: &[(&str, Injected)]) -> Result<()> {
    scene.apply().await?;
    scene.ready().await?;
    for (operation, injected) in injected {
        ensure!(injected.hits() > 0, "{operation} was not hit");
    }
    ensure_complete(&scene.inventory().await?)?;
    scene.connect("alice").await?.ping().await.map(|_| ())
}

#[test]
fn what_was_made_without_an_answer_is_found_and_not_made_twice() -> Result<()> {
    scene("lost").play_from_the_start(async |scene| {
        let injected = inject(scene, &Act::LoseAnswer);
        becomes_complete(scene, &injected).await
    })
}

#[test]
fn throttles_and_errors_of_aws_pass() -> Result<()> {
    scene("throttled").play_from_the_start(async |scene| {
        let mut injected = inject(scene, &Act::refuse(429, "TooManyRequestsException", "Rate exceeded"));
        let put = Calls::Operation(Service::Iam, "PutRolePolicy");
        let fails = Fault::of(put, Act::refuse(500, "ServiceFailure", "")).by(scene.key()).when(When::Calls(1, 6));
        injected.push(("PutRolePolicy", scene.testbed.aws().gateway().inject(fails)));
        becomes_complete(scene, &injected).await?;
        ensure_eq!(injected[8].1.hits(), 6, "failures of PutRolePolicy");
        Ok(())
    })
}
