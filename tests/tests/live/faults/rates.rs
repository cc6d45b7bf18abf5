//! API Gateway takes ten calls a second from an account, however many stacks are in it: with and without an operator
//! that holds back.

use std::time::{Duration, Instant};

use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::rule::all as rules;
use sumu_tests::gateway::{Gateway, Pace};
use sumu_tests::stack::{self, Stack};
use sumu_tests::{Result, ensure, ensure_eq};

use super::common::{behind, seen};
use crate::scene::{ensure_complete, names_begin, scene};

/// How much faster than AWS's own, so that the test ends.
const FASTER: f64 = 3.0;
const STACKS: usize = 5;

#[test]
#[ignore = "slow: make test-faults"]
fn several_stacks_share_what_api_gateway_takes_and_all_get_there() -> Result<()> {
    scene("rates").play_from_the_start(async |scene| {
        let gateway = behind(scene, Pace { rate: Some(FASTER), ..Pace::QUICK }, &[]).await?;
        let began = Instant::now();
        let mut stacks = Vec::new();
        for number in 1..=STACKS {
            let manifest = stack::manifest(scene.testbed, &scene.namespace, &format!("live-{number}"));
            stacks.push(Stack::apply(scene.testbed, &manifest).await?);
        }
        for stack in &stacks {
            let status = stack.ready().await?;
            let inventory = scene.testbed.aws().inventory(names_begin(&status)?).await?;
            ensure_complete(&inventory)?;
        }
        let made = began.elapsed();
        for stack in &stacks {
            stack.delete().await?;
        }
        for stack in &stacks {
            stack.gone().await?;
        }
        let calls: Vec<_> =
            gateway.seen(scene.key()).into_iter().filter(|seen| seen.service == Service::ApiGateway).collect();
        let refused = calls.iter().filter(|seen| seen.status == 429).count();
        println!("{STACKS} stacks: made in {made:?}, {} calls, {refused} refused", calls.len());
        for operation in ["CreateApi", "CreateDeployment", "DeleteApi"] {
            let done = seen(&gateway, scene, operation).iter().filter(|seen| seen.status < 300).count();
            ensure_eq!(done, STACKS, "{operation}, one a stack");
        }
        ensure!(refused * 5 <= calls.len(), "{refused} of {} calls were refused: it does not hold back", calls.len());
        ensure!(gateway.count("api-rate") > 0, "the rate was never reached");
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}

/// So many that they get in each other's way.
const HELD_BACK: usize = 3;

/// Each waits for the others.
const AMONG_OTHERS: Duration = Duration::from_mins(6);

/// What an account may call in ten seconds, beside the 40 that it may call at once.
const IN_TEN_SECONDS: usize = 100;

/// The rules about rates that have refused something, with how often.
pub fn refused_for_rates(gateway: &Gateway) -> Vec<(&'static str, u64)> {
    let rates = rules().filter(|rule| rule.name.ends_with("-rate"));
    rates.map(|rule| (rule.name, gateway.count(rule.name))).filter(|(_, count)| *count > 0).collect()
}

#[test]
#[ignore = "slow: make test-faults"]
fn an_operator_that_holds_back_is_never_refused_at_the_rates_of_aws() -> Result<()> {
    scene("paced").play_from_the_start(async |scene| {
        let pace = Pace { rate: Some(1.0), ..Pace::QUICK };
        let gateway = behind(scene, pace, &["--aws-pacing", "on"]).await?;
        let mut stacks = Vec::new();
        for number in 1..=HELD_BACK {
            let manifest = stack::manifest(scene.testbed, &scene.namespace, &format!("live-{number}"));
            stacks.push(Stack::apply(scene.testbed, &manifest).await?);
        }
        for stack in &stacks {
            ensure_complete(
                &scene.testbed.aws().inventory(names_begin(&stack.ready_within(AMONG_OTHERS).await?)?).await?,
            )?;
        }
        for stack in &stacks {
            stack.delete().await?;
        }
        for stack in &stacks {
            stack.gone_within(AMONG_OTHERS).await?;
        }
        let calls: Vec<_> =
            gateway.seen(scene.key()).into_iter().filter(|seen| seen.service == Service::ApiGateway).collect();
        ensure_eq!(refused_for_rates(&gateway), [], "calls that were too many");
        let most = calls.iter().map(|first| {
            let window = first.at..first.at + Duration::from_secs(10);
            calls.iter().filter(|seen| window.contains(&seen.at)).count()
        });
        let most = most.max().unwrap_or_default();
        println!("{HELD_BACK} stacks: {} calls of API Gateway, at most {most} in ten seconds", calls.len());
        ensure!((1..IN_TEN_SECONDS).contains(&most), "{most} calls in ten seconds");
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}
