//! Many stacks with one operator: `make test-scale`, because it takes longer than everything else together.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use sumu_contract::Function;
use sumu_operator::packages::package;
use sumu_operator::sumu_stack::Architecture;
use sumu_tests::gateway::Pace;
use sumu_tests::gateway::call::Service;
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Result, ensure, ensure_eq, eventually};

use crate::faults::common::behind;
use crate::faults::rates::refused_for_rates;
use crate::scene::{Scene, ensure_complete, names_begin, scene};

const STACKS: usize = 100;
/// How long all of them may take to become what they should be.
const SETTLED_WITHIN: Duration = Duration::from_mins(25);
const LENGTH: Duration = Duration::from_hours(1);

/// Somebody else's secrets, of nearly the most that an API server takes.
const SECRETS: usize = 600;
const SECRET_BYTES: usize = 1_000_000;
const MEMORY_KIB_MAX: u64 = 40 * 1024;

/// As many as an account may have by far before it asks AWS for more.
const SHARING: usize = 50;
/// So many times AWS's own rates, so that the test ends, and the operator paces itself for them.
const FASTER: f64 = 10.0;

/// So long nothing is asked of AWS when there is nothing to do.
const QUIET: Duration = Duration::from_secs(30);

#[test]
#[ignore = "very slow: make test-scale"]
fn a_hundred_stacks_become_ready_then_ask_nothing_of_aws_and_go_and_it_takes_little_memory() -> Result<()> {
    scene("many").lasting(LENGTH).play_from_the_start(async |scene| {
        make_secrets(scene).await?;
        let functions = small_functions(scene)?;
        scene.stop_operator()?;
        scene.start_operator_with(&["--functions-dir", &functions])?;
        let began = Instant::now();
        let stacks = apply(scene, STACKS).await?;
        let ready = until_ready(&stacks).await?;
        println!("{STACKS} stacks were Ready after {:?}, the first after {:?}", began.elapsed(), ready[0]);
        let gateway = scene.testbed.aws().gateway();
        eventually(SETTLED_WITHIN, "nothing to be asked of AWS", async || {
            let seen = gateway.seen(scene.key());
            let last = seen.last().map(|seen| seen.at.elapsed()).unwrap_or_default();
            ensure!(last > QUIET, "something was asked {last:?} ago");
            Ok(())
        })
        .await?;
        let seen = gateway.seen(scene.key());
        let writes = seen.iter().filter(|seen| !seen.is_read).count();
        let memory = scene.operator.memory_kib()?;
        let peak = scene.operator.peak_memory_kib()?;
        println!("{} calls, {writes} of them writes, {memory} KiB, {peak} KiB at most with its executable", seen.len());
        ensure!(memory <= MEMORY_KIB_MAX, "the operator has {memory} KiB");
        are_complete(scene, &stacks).await?;
        gone(scene, &stacks).await
    })
}

#[test]
#[ignore = "very slow: make test-scale"]
fn fifty_stacks_share_what_an_account_may_call_and_none_starves() -> Result<()> {
    scene("sharing").lasting(LENGTH).play_from_the_start(async |scene| {
        let functions = small_functions(scene)?;
        let arguments = ["--functions-dir", &functions, "--aws-pacing", &FASTER.to_string()];
        let gateway = behind(scene, Pace { rate: Some(FASTER), ..Pace::QUICK }, &arguments).await?;
        let stacks = apply(scene, SHARING).await?;
        let ready = until_ready(&stacks).await?;
        let (first, last) = (ready[0], ready[SHARING - 1]);
        are_complete(scene, &stacks).await?;
        gone(scene, &stacks).await?;
        let seen = gateway.seen(scene.key());
        let calls: Vec<_> = seen.iter().filter(|seen| seen.service == Service::ApiGateway).collect();
        println!("{SHARING} stacks: Ready after {first:?} to {last:?}; {} calls of API Gateway", calls.len());
        ensure_eq!(refused_for_rates(&gateway), [], "calls that were too many");
        for operation in ["CreateApi", "CreateDeployment", "DeleteApi"] {
            let done = calls.iter().filter(|seen| seen.operation == operation && seen.status < 300).count();
            ensure_eq!(done, SHARING, "{operation}, one a stack");
        }
        Ok(())
    })
}

async fn make_secrets(scene: &Scene) -> Result<()> {
    // Where the operator looks for stacks: elsewhere it could not keep them even if it watched them.
    let secrets: Api<Secret> = Api::namespaced(scene.testbed.kubernetes().client().await?, &scene.namespace);
    for number in 0..SECRETS {
        let mut secret = Secret::default();
        secret.metadata.name = Some(format!("theirs-{number}"));
        secret.data = Some([("blob".to_owned(), ByteString(vec![b'x'; SECRET_BYTES]))].into());
        secrets.create(&PostParams::default(), &secret).await?;
    }
    Ok(())
}

/// A folder of functions of a few bytes: four hundred of the real ones are more than the emulator holds.
fn small_functions(scene: &Scene) -> Result<String> {
    let folder: PathBuf = scene.testbed.folder().logs().join(format!("functions-{}", scene.namespace));
    std::fs::create_dir_all(&folder)?;
    for function in Function::ALL {
        std::fs::write(folder.join(function.as_str()), format!("#!/bin/sh\n# {function}\n"))?;
    }
    package(&folder, &folder, Architecture::X86_64)?;
    Ok(folder.display().to_string())
}

/// Applies so many stacks at once, no name of which begins like another.
async fn apply(scene: &Scene, count: usize) -> Result<Vec<Stack>> {
    let mut stacks = Vec::new();
    for number in 0..count {
        let manifest = stack::manifest(scene.testbed, &scene.namespace, &format!("s{number:03}"));
        stacks.push(Stack::apply(scene.testbed, &manifest).await?);
    }
    Ok(stacks)
}

/// How long each took from now on, sorted.
async fn until_ready(stacks: &[Stack]) -> Result<Vec<Duration>> {
    let began = Instant::now();
    let each = stacks.iter().map(async |stack| stack.ready_within(SETTLED_WITHIN).await.map(|_| began.elapsed()));
    let mut took = try_join_all(each).await?;
    took.sort_unstable();
    Ok(took)
}

async fn are_complete(scene: &Scene, stacks: &[Stack]) -> Result<()> {
    for stack in stacks {
        let object = stack.object().await?;
        ensure_complete(&scene.testbed.aws().inventory(names_begin(&object["status"])?).await?)?;
    }
    Ok(())
}

async fn gone(scene: &Scene, stacks: &[Stack]) -> Result<()> {
    for stack in stacks {
        stack.delete().await?;
    }
    try_join_all(stacks.iter().map(|stack| stack.gone_within(SETTLED_WITHIN))).await?;
    let left = scene.inventory().await?;
    ensure!(left.is_empty(), "left in AWS:\n{left}");
    Ok(())
}
