//! API Gateway takes ten calls a second from an account, however many stacks are in it.

use std::time::Instant;

use sumu_tests::gateway::Pace;
use sumu_tests::gateway::call::Service;
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
        let gateway = behind(scene, Pace { rate: Some(FASTER), ..Pace::QUICK }).await?;
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
        ensure!(refused * 10 <= calls.len(), "{refused} of {} calls were refused: it does not hold back", calls.len());
        ensure!(gateway.count("api-rate") > 0, "the rate was never reached");
        let left = scene.inventory().await?;
        ensure!(left.is_empty(), "left in AWS:\n{left}");
        Ok(())
    })
}
