//! What stands in the way of a deletion for a while.

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, When};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use super::whole::{ask_for_a_look, becomes_whole, count, inject_one, told};
use crate::scene::scene;

#[test]
#[ignore = "slow: make test-faults"]
fn conflicts_between_deletions_pass() -> Result<()> {
    scene("conflicts").play(async |scene| {
        let one = |service, operation, status, code, message| {
            inject_one(scene, service, operation, When::Calls(1, 2), Act::refuse(status, code, message))
        };
        let aborted = "A conflicting operation is currently in progress against this resource. Please try again.";
        let updating = "The operation cannot be performed at this time. An update is in progress for resource: arn";
        let concurrent = "Unable to complete operation due to concurrent modification. Please try again later.";
        let faults = [
            one(Service::Logs, "DeleteLogGroup", 400, "OperationAbortedException", aborted),
            one(Service::Lambda, "DeleteFunction", 409, "ResourceConflictException", updating),
            one(Service::ApiGateway, "DeleteApi", 409, "ConflictException", concurrent),
            one(Service::DynamoDb, "DeleteTable", 400, "ResourceInUseException", "Table is being updated: T"),
        ];
        scene.delete().await?;
        ensure_eq!(faults.map(|fault| fault.hits()), [2, 2, 2, 2], "hits");
        let deletes = ["DeleteApi", "DeleteFunction", "DeleteLogGroup", "DeleteTable"];
        let services = [Service::ApiGateway, Service::Lambda, Service::Logs, Service::DynamoDb];
        let counts: Vec<_> = services.into_iter().zip(deletes).map(|(it, delete)| count(scene, it, delete)).collect();
        // As many as there are things, and one for each refusal.
        ensure_eq!(counts, [3, 6, 6, 4], "calls of {deletes:?}");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_authorizer_that_a_route_still_names_is_deleted_when_none_does() -> Result<()> {
    scene("referenced").play(async |scene| {
        let sdk = aws_sdk_apigatewayv2::Client::new(&scene.sdk().await);
        let api = scene.text("/apiId")?.to_owned();
        let found = sdk.get_authorizers().api_id(&api).send().await?;
        let uri = found.items().first().and_then(|found| found.authorizer_uri()).context("no authorizer")?;
        let request = aws_sdk_apigatewayv2::types::AuthorizerType::Request;
        let call = sdk.create_authorizer().api_id(&api).name("other").authorizer_type(request).authorizer_uri(uri);
        call.identity_source("route.request.querystring.token").send().await?;
        let message = "Cannot delete authorizer 'a', is referenced in route: $connect";
        let refused = Act::refuse(409, "ConflictException", message);
        let refused = inject_one(scene, Service::ApiGateway, "DeleteAuthorizer", When::Calls(1, 2), refused);
        ask_for_a_look(scene).await?;
        told(scene, "Gateway", "Busy", &["DeleteAuthorizer", "ConflictException", message]).await?;
        becomes_whole(scene, 4).await?;
        ensure_eq!(refused.hits(), 2, "hits");
        ensure_eq!(count(scene, Service::ApiGateway, "DeleteAuthorizer"), 3, "calls of DeleteAuthorizer");
        Ok(())
    })
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_api_that_somebodys_domain_maps_to_is_told_and_goes_when_it_does_not() -> Result<()> {
    scene("mapped").play(async |scene| {
        let message =
            "Deleting API abc failed. Please remove all API mappings for the API from your custom domain names.";
        let mapped = Act::refuse(400, "BadRequestException", message);
        let mapped = inject_one(scene, Service::ApiGateway, "DeleteApi", When::Always, mapped);
        scene.stack.delete().await?;
        told(scene, "Ready", "Rejected", &["DeleteApi", "BadRequestException", message]).await?;
        eventually(PATIENCE, "what does not stand behind the api to go", async || {
            ensure_eq!(scene.inventory().await?.count("function"), 2, "functions");
            Ok(())
        })
        .await?;
        ensure!(mapped.hits() <= 6, "{} calls of DeleteApi", mapped.hits());
        mapped.end();
        scene.stack.gone().await
    })
}
