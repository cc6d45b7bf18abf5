//! Lambda functions.

use aws_sdk_lambda::Client;
use aws_sdk_lambda::operation::create_function::builders::CreateFunctionFluentBuilder;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{DeadLetterConfig, Environment, FunctionCode, LastUpdateStatus, Runtime, State};
use std::time::Duration;
use sumu_tests::gateway::Pace;
use sumu_tests::poll::PATIENCE;
use sumu_tests::{Result, ensure, ensure_eq, eventually};

use crate::bench::{AT_ONCE, Bench, bench};
use crate::roles::{TRUST, role};

/// An archive without files.
fn code() -> Blob {
    Blob::new([b"PK\x05\x06".as_slice(), &[0; 18]].concat())
}

pub fn create(client: &Client, name: &str, role: &str) -> CreateFunctionFluentBuilder {
    let code = FunctionCode::builder().zip_file(code()).build();
    client.create_function().function_name(name).role(role).runtime(Runtime::Providedal2023).handler("b").code(code)
}

/// A function that takes changes; the ARN of its role.
pub async fn function(bench: &Bench, name: &str) -> Result<String> {
    let client = Client::new(&bench.sdk);
    let role = role(bench, name).await?;
    create(&client, name, &role).timeout(30).send().await?;
    rested(&client, name).await?;
    Ok(role)
}

async fn rested(client: &Client, name: &str) -> Result<()> {
    eventually(PATIENCE, "the function to rest", async || {
        let found = client.get_function_configuration().function_name(name).send().await?;
        let is_busy = found.last_update_status == Some(LastUpdateStatus::InProgress);
        ensure!(found.state == Some(State::Active) && !is_busy, "{found:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_account_makes_so_many_calls_of_lambda_and_invocations_are_not_counted() -> Result<()> {
    let bench = bench(Pace { rate: Some(0.001), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    for _ in 0..15 {
        client.list_functions().send().await?;
    }
    let expected = (429, "TooManyRequestsException", "Rate exceeded");
    bench.refused("function-rate", client.list_functions().send().await, expected)?;
    let absent = client.get_function().function_name("missing").send().await;
    ensure!(
        absent.is_err_and(|error| error.to_string().contains("service error")),
        "GetFunction has a rate of its own"
    );
    let invoked = client.invoke().function_name("missing").send().await;
    let status = invoked.err().and_then(|error| error.raw_response().map(|answer| answer.status().as_u16()));
    ensure_eq!(status, Some(404), "an invocation of nothing");
    Ok(())
}

#[tokio::test]
async fn a_role_that_lambda_cannot_assume_is_refused_until_it_has_spread() -> Result<()> {
    let bench = bench(Pace { role: Duration::from_secs(4), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    let expected = (400, "InvalidParameterValueException", "cannot be assumed by Lambda.");
    let rule = "function-role-assumable";
    let nobody = create(&client, "early", "arn:aws:iam::000000000000:role/missing").send().await;
    bench.refused(rule, nobody, expected)?;

    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let trust = TRUST.replace("lambda", "ec2");
    let other = iam.create_role().role_name("other").assume_role_policy_document(trust).send().await?;
    let early = role(&bench, "early").await?;
    bench.refused(rule, create(&client, "early", &early).send().await, expected)?;
    let wait = async || Ok(create(&client, "early", &early).send().await?);
    eventually(PATIENCE, "the role to spread", wait).await?;
    let other = other.role.map(|role| role.arn).unwrap_or_default();
    bench.refused(rule, create(&client, "other", &other).send().await, expected)
}

#[tokio::test]
async fn a_function_keeps_to_its_limits() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    let role = role(&bench, "limits").await?;
    let limits = "function-limits";
    let long = create(&client, &"f".repeat(65), &role).send().await;
    bench.refused(limits, long, (400, "ValidationException", "less than or equal to 64"))?;
    let slow = create(&client, "limits", &role).timeout(901).send().await;
    bench.refused(limits, slow, (400, "ValidationException", "Value '901' at 'timeout'"))?;
    let small = create(&client, "limits", &role).memory_size(64).send().await;
    bench.refused(limits, small, (400, "ValidationException", "greater than or equal to 128"))?;
    let reserved = Environment::builder().variables("AWS_REGION", "here").build();
    let reserved = create(&client, "limits", &role).environment(reserved).send().await;
    bench.refused(limits, reserved, (400, "InvalidParameterValueException", "reserved keys"))?;
    let large = Environment::builder().variables("LARGE", "x".repeat(4096)).build();
    let large = create(&client, "limits", &role).environment(large).send().await;
    bench.refused(limits, large, (400, "InvalidParameterValueException", "exceeded the 4KB limit"))?;

    let iam = aws_sdk_iam::Client::new(&bench.sdk);
    let denied = r#"{"Statement":[{"Effect":"Deny","Action":"sqs:Send*","Resource":"*"},{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    iam.put_role_policy().role_name("limits").policy_name("own").policy_document(denied).send().await?;
    let letters = DeadLetterConfig::builder().target_arn("arn:aws:sqs:us-east-1:000000000000:letters").build();
    let letters = create(&client, "limits", &role).dead_letter_config(letters).send().await;
    let expected = (400, "InvalidParameterValueException", "permissions to call SendMessage on SQS");
    bench.refused("function-dead-letters-allowed", letters, expected)
}

#[tokio::test]
async fn a_function_that_is_being_changed_takes_no_other_change() -> Result<()> {
    let bench = bench(Pace { function: Duration::from_secs(4), ..AT_ONCE }).await?;
    let client = Client::new(&bench.sdk);
    let role = role(&bench, "busy").await?;
    let made = create(&client, "busy", &role).send().await?;
    ensure_eq!((made.state, made.last_update_status), (Some(State::Pending), None), "a new function");
    ensure!(bench.gateway.count("function-states") > 0, "the emulator has told it by itself");
    let update = || client.update_function_configuration().function_name("busy").timeout(5).send();
    let expected = (409, "ResourceConflictException", "currently in the following state: Pending");
    bench.refused("function-busy", update().await, expected)?;
    rested(&client, "busy").await?;

    let updated = update().await?;
    let states = (updated.state, updated.last_update_status);
    ensure_eq!(states, (Some(State::Active), Some(LastUpdateStatus::InProgress)), "an updated function");
    let expected = (409, "ResourceConflictException", "An update is in progress for resource: arn:aws:lambda");
    bench.refused("function-busy", update().await, expected)?;
    let deleted = client.delete_function().function_name("busy").send().await;
    bench.refused("function-busy", deleted, expected)?;
    rested(&client, "busy").await
}

#[tokio::test]
async fn a_dry_run_tells_what_the_code_would_be_and_leaves_it_as_it_is() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "dry").await?;
    let code_of = async || {
        let found = client.get_function_configuration().function_name("dry").send().await?;
        Ok::<_, sumu_tests::Error>(found.code_sha256)
    };
    let before = code_of().await?;
    let other = Blob::new([b"PK\x05\x06".as_slice(), &[0; 17], b"\x01", b"x"].concat());
    let update = || client.update_function_code().function_name("dry");
    let would_be = update().zip_file(other.clone()).dry_run(true).send().await?.code_sha256;
    ensure!(would_be.is_some() && would_be != before, "it would be {would_be:?}");
    ensure_eq!(code_of().await?, before, "the code after a dry run");
    let nothing = update().s3_bucket("missing").s3_key("missing.zip").dry_run(true).send().await;
    bench.refused("function-dry-run", nothing, (400, "InvalidParameterValueException", "NoSuchKey"))?;
    Ok(())
}

#[tokio::test]
async fn a_policy_is_absent_before_its_first_statement_whose_id_has_a_form() -> Result<()> {
    let bench = bench(AT_ONCE).await?;
    let client = Client::new(&bench.sdk);
    function(&bench, "policy").await?;
    let policy = || client.get_policy().function_name("policy").send();
    let expected = (404, "ResourceNotFoundException", "does not exist");
    bench.refused("policy-absent", policy().await, expected)?;
    let add = |id: &str| {
        let call = client.add_permission().function_name("policy").action("lambda:InvokeFunction");
        call.principal("sns.amazonaws.com").statement_id(id).send()
    };
    bench.refused("permission-statement-id", add("not good").await, (400, "ValidationException", "statementId"))?;
    add("good").await?;
    ensure!(policy().await?.policy.is_some_and(|policy| policy.contains("good")), "the statement is there");
    Ok(())
}
