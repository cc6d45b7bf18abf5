//! One stack's life in three chapters, with a kill in each.

use futures::FutureExt as _;
use serde_json::{Value, json};
use sumu_tests::aws::{ACCOUNT, REGION};
use sumu_tests::gateway::call::Service;
use sumu_tests::gateway::fault::{Act, Calls, Fault, Hold, Injected, When};
use sumu_tests::kubernetes::proxy::{HeldWrite, Proxy, Write};
use sumu_tests::poll::{PATIENCE, within};
use sumu_tests::stack::SETTLED_WITHIN;
use sumu_tests::{Context, Result, ensure, ensure_eq, eventually};

use crate::consumers::Team;
use crate::scene::{Scene, change_of_every_part, ensure_complete, ensure_complete_but};

/// What the change adds: the queue for departures, what feeds the watchdog from it, the log group of access logs, a
/// subscription with its dead-letter queue, and what feeds the team's function.
const CHANGED: [(&str, usize); 4] = [("event source", 5), ("log group", 5), ("queue", 9), ("subscription", 2)];

/// Between what the operator is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A call of AWS and its answer.
    Aws,
    /// A call that it sends to AWS, and the call's coming there, which is when the next operator has done its work.
    AwsLate,
    /// A write to Kubernetes and its answer.
    Kubernetes,
}

/// A part of a stack's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chapter {
    Creation,
    Update,
    Deletion,
}

/// A write, seen from the beginning of its chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Whatever is the n-th, counted from 1.
    Number(u64),
    /// The first of an operation of AWS.
    First(Service, &'static str),
    /// The write of the finalizer.
    Finalizer,
    /// None.
    Never,
}

/// What has happened in a chapter.
#[derive(Clone, Debug)]
pub struct Page {
    pub chapter: Chapter,
    /// The write at which the operator was killed; nothing when the chapter was over before.
    pub killed_at: Option<String>,
    /// The calls that changed something in AWS, with those before the kill.
    pub writes: Vec<(Service, String)>,
}

impl Chapter {
    pub const ALL: [Self; 3] = [Self::Creation, Self::Update, Self::Deletion];

    async fn begin(self, scene: &mut Scene, team: &Team) -> Result<()> {
        match self {
            Self::Creation => scene.apply().await,
            Self::Update => scene.stack.patch(&json!({ "spec": change(team) })).await,
            Self::Deletion => scene.stack.delete().await,
        }
    }

    /// Waits until the stack is what the chapter makes of it.
    async fn over(self, scene: &Scene) -> Result<()> {
        match self {
            Self::Creation | Self::Update => scene.stack.ready().await.map(drop),
            Self::Deletion => scene.stack.gone().await,
        }
    }

    /// Looks with AWS's own lists.
    async fn ensure_right(self, scene: &Scene, team: &Team) -> Result<()> {
        let inventory = scene.inventory().await?;
        let fed = usize::from(self == Self::Update);
        ensure_eq!(team.fed(scene).await?, fed, "what feeds the team's function");
        match self {
            Self::Creation => ensure_complete(&inventory),
            Self::Update => ensure_complete_but(&inventory, &CHANGED),
            Self::Deletion => {
                ensure!(inventory.is_empty(), "left in AWS:\n{inventory}");
                Ok(())
            }
        }
    }
}

/// One edit that touches every kind of part, and gives a team the stack's messages.
fn change(team: &Team) -> Value {
    let mut change = change_of_every_part();
    change["messages"] = json!({
        "subscriptions": [{"protocol": "sqs", "endpoint": team.outbox_arn()}],
        "consumers": [{"functionArn": team.arn}],
    });
    change
}

/// A team whose function may receive from whatever queues the stack will have.
async fn team(scene: &Scene) -> Result<Team> {
    let team = Team::of(scene, "team", 30).await?;
    let queues = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}*", scene.prefix());
    let receive = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
    let statement = json!({"Effect": "Allow", "Action": receive, "Resource": queues});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
    team.backend.allow(&team.name, &policy.to_string()).await?;
    Ok(team)
}

/// Holds the answer of one write.
enum Trap {
    Aws(Injected, Hold),
    Kubernetes(HeldWrite),
    None,
}

impl Trap {
    fn set(scene: &Scene, proxy: Option<&Proxy>, moment: Moment) -> Self {
        match (moment, proxy) {
            (Moment::Number(number), Some(proxy)) => Self::Kubernetes(proxy.hold(number, None)),
            (Moment::Finalizer, Some(proxy)) => Self::Kubernetes(proxy.hold(1, Some(Write::Object))),
            (moment, _) => Self::of_aws(scene, moment, Act::Hold),
        }
    }

    fn of_aws(scene: &Scene, moment: Moment, act: impl FnOnce(Hold) -> Act) -> Self {
        let (calls, number) = match moment {
            Moment::Number(number) => (Calls::Writes, number),
            Moment::First(service, operation) => (Calls::Operation(service, operation), 1),
            Moment::Finalizer | Moment::Never => return Self::None,
        };
        let hold = Hold::default();
        let fault = Fault::of(calls, act(hold.clone())).by(scene.key()).when(When::Calls(number, number));
        Self::Aws(scene.testbed.aws().gateway().inject(fault), hold)
    }

    /// The write that is held, from when it has come.
    fn hit(&self) -> Option<String> {
        match self {
            Self::Aws(injected, _) => {
                let (service, operation) = injected.hit().into_iter().next()?;
                Some(format!("{} {operation}", service.name()))
            }
            Self::Kubernetes(held) => held.hit().map(|write| format!("{write:?}")),
            Self::None => None,
        }
    }

    /// Waits until the write is made and its answer is held.
    async fn reached(&self) {
        match self {
            Self::Aws(_, hold) => hold.reached().await,
            Self::Kubernetes(held) => held.hold().reached().await,
            Self::None => std::future::pending().await,
        }
    }

    fn open(&self) {
        match self {
            Self::Aws(injected, hold) => {
                injected.end();
                hold.release();
            }
            Self::Kubernetes(held) => held.hold().release(),
            Self::None => {}
        }
    }
}

/// Leads a stack from its creation to its end, with a kill at a moment of each chapter.
pub async fn live(scene: &mut Scene, proxy: Option<&Proxy>, moments: [Moment; 3]) -> Result<Vec<Page>> {
    if let Some(proxy) = proxy {
        scene.operate_with(proxy.kubeconfig())?;
    }
    let team = team(scene).await?;
    let mut pages = Vec::new();
    for (chapter, moment) in Chapter::ALL.into_iter().zip(moments) {
        let before = writes(scene).len();
        let trap = Trap::set(scene, proxy, moment);
        let result = play(scene, chapter, &trap, &team).await;
        let killed_at = trap.hit();
        trap.open();
        result.with_context(|| format!("{chapter:?}, killed at {killed_at:?} ({moment:?})"))?;
        pages.push(Page { chapter, killed_at, writes: writes(scene).split_off(before) });
    }
    team.leave().await?;
    Ok(pages)
}

/// Leads a stack through its creation. The operator is killed when it has sent a call, and the call comes to AWS when
/// the next operator has made everything without it.
pub async fn live_with_a_late_call(scene: &mut Scene, moment: Moment) -> Result<Page> {
    let chapter = Chapter::Creation;
    let trap = Trap::of_aws(scene, moment, Act::Late);
    scene.apply().await?;
    tokio::select! {
        () = trap.reached() => {}
        over = chapter.over(scene) => over?,
    }
    let killed_at = trap.hit();
    if killed_at.is_some() {
        scene.kill_operator()?;
        succeed(scene).await?;
        let lasted = chapter.over(scene).await;
        let before = writes(scene).len();
        trap.open();
        let what = format!("killed before {killed_at:?} ({moment:?}) reached AWS");
        lasted.with_context(|| what.clone())?;
        eventually(PATIENCE, "the late call to be answered", async || {
            ensure!(writes(scene).len() > before, "it was not");
            Ok(())
        })
        .await?;
        let right =
            eventually(SETTLED_WITHIN, "one of everything", async || ensure_complete(&scene.inventory().await?));
        right.await.context(what)?;
    }
    trap.open();
    ensure_complete(&scene.inventory().await?)?;
    // What the late call has made twice may be what clients used so far.
    scene.ready().await?;
    scene.connect("alice").await?.ping().await?;
    Ok(Page { chapter, killed_at, writes: writes(scene) })
}

async fn play(scene: &mut Scene, chapter: Chapter, trap: &Trap, team: &Team) -> Result<()> {
    chapter.begin(scene, team).await?;
    let is_over = tokio::select! {
        () = trap.reached() => false,
        over = chapter.over(scene) => over.map(|()| true)?,
    };
    // The last write of a chapter is seen by others before its answer is there to be held.
    if !is_over || trap.hit().is_some() {
        within(PATIENCE, "the write to be made", trap.reached().map(Ok)).await?;
        scene.kill_operator()?;
        trap.open();
        succeed(scene).await?;
        chapter.over(scene).await?;
    }
    chapter.ensure_right(scene, team).await
}

/// Starts the next operator, and waits until it has: it may have nothing to do, and then the end of the scene stops it.
async fn succeed(scene: &mut Scene) -> Result<()> {
    const STARTED: &str = "operator started";
    let before = scene.operator.said(STARTED)?;
    scene.start_operator()?;
    eventually(PATIENCE, "the next operator to start", async || {
        scene.operator.ensure_running()?;
        ensure!(scene.operator.said(STARTED)? > before, "it has not said so");
        Ok(())
    })
    .await
}

/// All calls so far that changed something.
fn writes(scene: &Scene) -> Vec<(Service, String)> {
    let seen = scene.testbed.aws().gateway().seen(scene.key());
    seen.into_iter().filter(|seen| !seen.is_read).map(|seen| (seen.service, seen.operation)).collect()
}
