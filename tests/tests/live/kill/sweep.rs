//! Lives, one for each moment, several beside each other, until there is no further moment.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sumu_tests::gateway::call::Service;
use sumu_tests::kubernetes::proxy::{Proxy, Write};
use sumu_tests::{Context, Result, ensure};

use super::life::{Chapter, Moment, Page, Side, live, live_with_a_late_call};
use crate::scene::scene;

/// How many more writes than without a kill a chapter may take: those of one round, the first of which is the largest, which is made again when the look
/// of the next operator is earlier than the last calls of the one that was killed.
const MORE_WRITES: usize = 21;
/// So many failures are enough to know that something is wrong.
const FAILURES_MAX: usize = 4;

/// Which moments to kill at.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    pub side: Side,
    pub first: u64,
    pub step: u64,
    /// How many lives there are at a time.
    pub workers: usize,
}

/// What all lives have told.
#[derive(Debug, Default)]
pub struct Found {
    chapters: &'static [Chapter],
    pages: Vec<Page>,
    failures: Vec<String>,
}

impl Sweep {
    /// Kills at one moment after the other until a life comes to its end in every chapter without it.
    pub fn run(self) -> Result<Found> {
        let next = AtomicU64::new(0);
        let found = Mutex::new(Found { chapters: chapters(self.side), ..Found::default() });
        std::thread::scope(|workers| {
            for _ in 0..self.workers {
                workers.spawn(|| {
                    while !locked(&found).is_done() {
                        let number = self.first + self.step * next.fetch_add(1, Ordering::SeqCst);
                        let told = one(self.side, [Moment::Number(number); 3]);
                        locked(&found).note(told);
                    }
                });
            }
        });
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.ensure_no_failure()?;
        Ok(found)
    }
}

impl Found {
    /// The writes that the operator was killed at.
    pub fn killed_at(&self, chapter: Chapter) -> Vec<String> {
        self.of(chapter).filter_map(|page| page.killed_at.clone()).collect()
    }

    /// Kills at the first call of each operation that no run happened to be killed at: the order of calls that are made
    /// side by side is another one each time.
    pub fn visit_what_was_missed(&mut self, side: Side) -> Result<()> {
        for (at, chapter) in chapters(side).iter().copied().enumerate() {
            for (service, operation) in self.missed(chapter) {
                // It lives as long as the process, as the names of operations do; there are only so many.
                self.visit(side, at, Moment::First(service, operation.leak()))?;
            }
        }
        Ok(())
    }

    /// Kills at the writes of the finalizer, if no run was: they are the last of a chapter, or nearly the first, and how
    /// many there are before the last is another number each time.
    pub fn visit_the_finalizers(&mut self) -> Result<()> {
        for (at, chapter) in Chapter::ALL.into_iter().enumerate() {
            let is_hit = self.killed_at(chapter).contains(&format!("{:?}", Write::Object));
            if chapter != Chapter::Update && !is_hit {
                self.visit(Side::Kubernetes, at, Moment::Finalizer)?;
            }
        }
        Ok(())
    }

    fn visit(&mut self, side: Side, at: usize, moment: Moment) -> Result<()> {
        println!("{:?}: nobody was killed at {moment:?} yet", Chapter::ALL[at]);
        let mut moments = [Moment::Never; 3];
        moments[at] = moment;
        let told = one(side, moments)?;
        ensure!(told[at].killed_at.is_some(), "{moments:?} was not hit");
        self.pages.extend(told);
        Ok(())
    }

    /// Fails when a kill made the next operator do much more than what was left to do.
    pub fn ensure_few_writes(&self) -> Result<()> {
        for chapter in Chapter::ALL {
            let whole = self.of(chapter).filter(|page| page.killed_at.is_none()).map(|page| page.writes.len()).max();
            let whole = whole.unwrap_or_default();
            let most = self.of(chapter).max_by_key(|page| page.writes.len());
            let Some(most) = most else { continue };
            println!("{chapter:?}: {whole} writes without a kill, {} at most with one", most.writes.len());
            ensure!(most.writes.len() <= whole + MORE_WRITES, "{whole} without a kill, but {most:?}");
        }
        Ok(())
    }

    fn of(&self, chapter: Chapter) -> impl Iterator<Item = &Page> {
        self.pages.iter().filter(move |page| page.chapter == chapter)
    }

    fn missed(&self, chapter: Chapter) -> BTreeSet<(Service, String)> {
        let killed_at = self.killed_at(chapter);
        let whole = self.of(chapter).filter(|page| page.killed_at.is_none());
        let made = whole.flat_map(|page| page.writes.clone());
        made.filter(|(service, operation)| !killed_at.contains(&format!("{} {operation}", service.name()))).collect()
    }

    fn note(&mut self, told: Result<Vec<Page>>) {
        match told {
            Ok(pages) => self.pages.extend(pages),
            Err(failure) => self.failures.push(failure.to_string()),
        }
    }

    fn is_done(&self) -> bool {
        let is_whole = |chapter| self.of(chapter).any(|page| page.killed_at.is_none());
        self.failures.len() >= FAILURES_MAX || self.chapters.iter().copied().all(is_whole)
    }

    fn ensure_no_failure(&self) -> Result<()> {
        let lives = self.pages.len() / self.chapters.len();
        ensure!(self.failures.is_empty(), "beside {lives} lives that went well:\n{}", self.failures.join("\n\n"));
        Ok(())
    }
}

/// One life in surroundings of its own.
fn one(side: Side, moments: [Moment; 3]) -> Result<Vec<Page>> {
    if side == Side::AwsLate {
        return one_with_a_late_call(moments[0]).map(|page| vec![page]);
    }
    let mut told = Vec::new();
    // The operator needs it until the scene has ended.
    let mut proxy = None;
    scene("kill").play_from_the_start(async |scene| {
        if side == Side::Kubernetes {
            proxy = Some(Proxy::start(scene.testbed.kubernetes(), &scene.namespace).await?);
        }
        told = live(scene, proxy.as_ref(), moments).await?;
        Ok(())
    })?;
    Ok(told)
}

fn one_with_a_late_call(moment: Moment) -> Result<Page> {
    let mut told = None;
    scene("late").resync_seconds(2).play_from_the_start(async |scene| {
        told = Some(live_with_a_late_call(scene, moment).await?);
        Ok(())
    })?;
    told.context("nothing was told")
}

fn chapters(side: Side) -> &'static [Chapter] {
    match side {
        Side::Aws | Side::Kubernetes => &Chapter::ALL,
        // Later on, what a late call does was done already.
        Side::AwsLate => &[Chapter::Creation],
    }
}

fn locked(found: &Mutex<Found>) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}
