//! API Gateway v2: what refers to what, and lists.

use aws_sdk_apigatewayv2::Client;
use aws_sdk_apigatewayv2::types::{
    AuthorizationType, AuthorizerType, DomainNameConfiguration, IntegrationType, ProtocolType,
};
use std::collections::HashMap;
use sumu_tests::gateway::Pace;
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Fault};
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, NEVER, bench, certificate};

const URI: &str = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:f/invocations";
const BAD: &str = "BadRequestException";

async fn api(client: &Client, name: &str) -> Result<String> {
    let call = client.create_api().name(name).protocol_type(ProtocolType::Websocket);
    let made = call.route_selection_expression("$request.body.action").send().await?;
    made.api_id.context("no id")
}

async fn integration(client: &Client, api: &str) -> Result<String> {
    let call = client.create_integration().api_id(api).integration_type(IntegrationType::AwsProxy);
    call.integration_uri(URI).send().await?.integration_id.context("no id")
}

async fn authorizer(client: &Client, api: &str) -> Result<String> {
    let call = client.create_authorizer().api_id(api).name("keeper").authorizer_type(AuthorizerType::Request);
    let call = call.authorizer_uri(URI).identity_source("route.request.querystring.token");
    call.send().await?.authorizer_id.context("no id")
}

#[tokio::test]
async fn an_account_makes_so_many_calls_at_once_and_fewer_deployments() -> Result<()> {
    let expected = || (429, "TooManyRequestsException", "Too Many Requests");
    // So slowly that none comes back while the test runs.
    let bench = bench(Pace { rate: Some(0.001), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "rates").await?;
    let integration = integration(&client, &api).await?;
    let route = client.create_route().api_id(&api).route_key("$default").target(format!("integrations/{integration}"));
    route.send().await?;
    client.create_deployment().api_id(&api).send().await?;
    bench.refused("api-rate", client.create_deployment().api_id(&api).send().await, expected())?;
    for call in 6..=40 {
        client.get_apis().send().await.with_context(|| format!("call {call}"))?;
    }
    bench.refused("api-rate", client.get_apis().send().await, expected())
}

#[tokio::test]
async fn calls_that_an_account_may_make_come_back_with_time() -> Result<()> {
    let bench = bench(Pace { rate: Some(1.0), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    let many = (0..60).map(|_| client.get_apis().send());
    let refused = futures::future::join_all(many).await.iter().filter(|answer| answer.is_err()).count();
    ensure!((1..=20).contains(&refused), "{refused} of 60 calls at once were refused");
    eventually(PATIENCE, "a call to be accepted", async || Ok(client.get_apis().send().await?)).await?;
    Ok(())
}

#[tokio::test]
async fn a_route_is_there_once_and_refers_to_what_exists() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "routes").await?;
    let integration = integration(&client, &api).await?;
    let route = |key: &str| client.create_route().api_id(&api).route_key(key);
    let expected = (400, BAD, "Invalid Integration identifier specified");
    let missing = route("$connect").target("integrations/missing").send().await;
    bench.refused("route-refers-to-what-exists", missing, expected)?;
    let target = format!("integrations/{integration}");
    let connect = || route("$connect").target(&target).authorization_type(AuthorizationType::Custom);
    let expected = (400, BAD, "Invalid Authorizer identifier specified");
    bench.refused("route-refers-to-what-exists", connect().authorizer_id("missing").send().await, expected)?;

    let authorizer = authorizer(&client, &api).await?;
    let made = connect().authorizer_id(&authorizer).send().await?.route_id.context("no id")?;
    let expected = (409, "ConflictException", "Route with key $connect already exists for this API");
    bench.refused("route-once", connect().authorizer_id(&authorizer).send().await, expected)?;

    let in_use = client.delete_authorizer().api_id(&api).authorizer_id(&authorizer).send().await;
    let expected = (409, "ConflictException", "Cannot delete authorizer 'keeper', is referenced in route: $connect");
    bench.refused("authorizer-in-use", in_use, expected)?;
    let in_use = client.delete_integration().api_id(&api).integration_id(&integration).send().await;
    bench.refused("integration-in-use", in_use, (409, "ConflictException", "is referenced in route: $connect"))?;

    client.update_route().api_id(&api).route_id(&made).route_key("$connect").send().await?;
    ensure_eq!(bench.gateway.count("route-update-is-201"), 1, "updates answered with 201");
    client.delete_route().api_id(&api).route_id(&made).send().await?;
    let gone = client.delete_route().api_id(&api).route_id(&made).send().await;
    bench.refused("delete-of-nothing", gone, (404, "NotFoundException", "Invalid Route identifier specified"))?;
    client.delete_authorizer().api_id(&api).authorizer_id(&authorizer).send().await?;
    client.delete_integration().api_id(&api).integration_id(&integration).send().await?;
    Ok(())
}

#[tokio::test]
async fn a_deployment_keeps_the_api_as_it_was_until_it_is_deleted() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "captured").await?;
    let target = format!("integrations/{}", integration(&client, &api).await?);
    let route = async |key: &str| -> Result<String> {
        let call = client.create_route().api_id(&api).route_key(key).target(&target);
        let call = call.route_response_selection_expression("$default");
        call.send().await?.route_id.context("no id")
    };
    let deploy = async || -> Result<String> {
        client.create_deployment().api_id(&api).send().await?.deployment_id.context("no id")
    };
    let early = route("early").await?;
    let first = deploy().await?;
    route("late").await?;
    client.create_route_response().api_id(&api).route_id(&early).route_response_key("$default").send().await?;
    let second = deploy().await?;
    client.delete_route().api_id(&api).route_id(&early).send().await?;
    let captured = |deployment: &str| -> Result<Vec<(String, bool)>> {
        let found = bench.gateway.deployments().of(&api, deployment).context("nothing was captured")?;
        Ok(found.routes.iter().map(|(key, route)| (key.clone(), route.replies)).collect())
    };
    ensure_eq!(captured(&first)?, [("early".to_owned(), false)], "the first deployment");
    let expected = [("early".to_owned(), true), ("late".to_owned(), false)];
    ensure_eq!(captured(&second)?, expected, "the second deployment");
    client.delete_deployment().api_id(&api).deployment_id(&first).send().await?;
    ensure!(captured(&first).is_err(), "a deployment that was deleted is kept");
    Ok(())
}

#[tokio::test]
async fn a_route_response_is_there_once_and_only_where_it_can_be() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "responses").await?;
    let respond = async |route: &str, key: &str| {
        client.create_route_response().api_id(&api).route_id(route).route_response_key(key).send().await
    };
    let route = async |key: &str| -> Result<String> {
        client.create_route().api_id(&api).route_key(key).send().await?.route_id.context("no id")
    };
    let (connect, ping) = (route("$connect").await?, route("ping").await?);
    let rule = "route-response-once";
    bench.refused(rule, respond(&ping, "other").await, (400, BAD, "$default"))?;
    bench.refused(rule, respond(&connect, "$default").await, (400, BAD, "$connect"))?;
    respond(&ping, "$default").await?;
    bench.refused(rule, respond(&ping, "$default").await, (409, "ConflictException", "already exists"))
}

#[tokio::test]
async fn an_authorizer_and_an_integration_of_a_socket_have_fewer_settings() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "settings").await?;
    let call = client.create_authorizer().api_id(&api).name("keeper").authorizer_type(AuthorizerType::Request);
    let call = call.authorizer_uri(URI).identity_source("route.request.header.A").authorizer_result_ttl_in_seconds(300);
    let expected = (400, BAD, "AuthorizerResultTtlInSeconds cannot be set for WEBSOCKET protocol Apis.");
    bench.refused("authorizer-members", call.send().await, expected)?;
    let call = client.create_integration().api_id(&api).integration_type(IntegrationType::AwsProxy);
    let slow = call.integration_uri(URI).timeout_in_millis(29_001).send().await;
    bench.refused("integration-timeout", slow, (400, BAD, "between 50 ms and 29000 ms"))
}

#[tokio::test]
async fn a_stage_serves_a_deployment_that_exists_and_holds_it() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "stages").await?;
    let deploy = || client.create_deployment().api_id(&api).send();
    let expected = (400, BAD, "At least one route is required before deploying the Api.");
    bench.refused("deployment-needs-a-route", deploy().await, expected)?;
    client.create_route().api_id(&api).route_key("ping").send().await?;
    let deployment = deploy().await?.deployment_id.context("no id")?;

    let stage = |id: &str| client.create_stage().api_id(&api).stage_name("live").deployment_id(id);
    let rule = "stage-serves-what-exists";
    let expected = (400, BAD, "Invalid deployment identifier specified");
    bench.refused(rule, stage("missing").send().await, expected)?;
    let by_itself = stage(&deployment).auto_deploy(true).send().await;
    bench.refused(rule, by_itself, (400, BAD, "because AutoDeploy is enabled"))?;
    stage(&deployment).send().await?;
    let twice = stage(&deployment).send().await;
    bench.refused("stage-once", twice, (409, "ConflictException", "Stage already exists"))?;
    let in_use = client.delete_deployment().api_id(&api).deployment_id(&deployment).send().await;
    bench.refused("deployment-in-use", in_use, (400, BAD, "Active stages pointing to this deployment"))
}

#[tokio::test]
async fn an_api_with_a_mapping_is_not_deleted() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "mapped").await?;
    client.create_route().api_id(&api).route_key("ping").send().await?;
    let deployment = client.create_deployment().api_id(&api).send().await?.deployment_id.context("no id")?;
    client.create_stage().api_id(&api).stage_name("live").deployment_id(deployment).send().await?;
    let certificate = DomainNameConfiguration::builder().certificate_arn(certificate("chat.example").await?).build();
    client.create_domain_name().domain_name("chat.example").domain_name_configurations(certificate).send().await?;
    let mapping = client.create_api_mapping().domain_name("chat.example").api_id(&api).stage("live").send().await?;
    let delete = || client.delete_api().api_id(&api).send();
    let expected = (400, BAD, "Please remove all API mappings for the API");
    bench.refused("api-mapped", delete().await, expected)?;
    let id = mapping.api_mapping_id.context("no id")?;
    client.delete_api_mapping().domain_name("chat.example").api_mapping_id(id).send().await?;
    delete().await?;
    Ok(())
}

#[tokio::test]
async fn one_api_takes_one_write_at_a_time() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "serial").await?;
    // Enough of them that two meet, whatever the machine does.
    let writes = (0..20).map(|at| client.create_route().api_id(&api).route_key(format!("key-{at}")).send());
    let written = futures::future::join_all(writes).await;
    let (made, refused): (Vec<_>, Vec<_>) = written.into_iter().partition(Result::is_ok);
    ensure!(!made.is_empty() && !refused.is_empty(), "{} made, {} refused", made.len(), refused.len());
    for answer in refused {
        let expected = (409, "ConflictException", "Please try again later.");
        bench.refused("api-one-write-at-a-time", answer, expected)?;
    }
    let routes = client.get_routes().api_id(&api).max_results("500").send().await?;
    ensure_eq!(routes.items().len(), made.len(), "what was refused is not there");
    Ok(())
}

#[tokio::test]
async fn lists_come_in_pages_and_tags_are_current() -> Result<()> {
    let bench = bench(NEVER).await?;
    let client = Client::new(&bench.sdk);
    let api = api(&client, "pages").await?;
    for key in ["a", "b", "c"] {
        client.create_route().api_id(&api).route_key(key).send().await?;
    }
    let first = client.get_routes().api_id(&api).send().await?;
    ensure_eq!(first.items().len(), 2, "the first page");
    let second = client.get_routes().api_id(&api).next_token(first.next_token.context("no token")?).send().await?;
    ensure_eq!((second.items().len(), second.next_token), (1, None), "the last page");
    ensure_eq!(bench.gateway.count("api-lists-in-pages"), 2, "pages");

    let tags = HashMap::from([("team".to_owned(), "chat".to_owned())]);
    let arn = format!("arn:aws:apigateway:us-east-1::/apis/{api}");
    client.tag_resource().resource_arn(arn).set_tags(Some(tags.clone())).send().await?;
    let found = client.get_api().api_id(&api).send().await?;
    ensure_eq!(found.tags, Some(tags), "the tags");
    ensure_eq!(bench.gateway.count("api-tags-are-current"), 1, "tags put right");
    Ok(())
}

/// The operator must not make a second API after an answer that was lost; that the first exists is what this shows.
#[tokio::test]
async fn an_api_whose_creation_was_not_answered_exists() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let lost = bench.gateway.inject(Fault::once(Service::ApiGateway, "CreateApi", Act::LoseAnswer));
    ensure!(api(&client, "lost").await.is_err(), "it was answered");
    ensure_eq!((lost.calls(), lost.hits()), (1, 1), "calls and hits");
    let apis = client.get_apis().max_results("1000").send().await?;
    let found = apis.items().iter().filter(|api| api.name() == Some("lost")).count();
    ensure_eq!(found, 1, "APIs of that name");
    Ok(())
}
