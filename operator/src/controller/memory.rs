//! What is remembered of a stack between passes: how often it was tried and when it is due.
//!
//! Losing it all, as every restart does, costs one early look at each stack and nothing else.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::Step;

#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<String, Remembered>>);

#[derive(Default)]
struct Remembered {
    generation: Option<i64>,
    /// Passes since the stack was last settled or its spec changed.
    attempts: u32,
    /// The object's version after our last write.
    version: Option<String>,
    due: Option<Instant>,
    /// Whether the last pass saw the spec as it is now in place.
    is_settled: bool,
    /// When that was last seen by a look at everything.
    looked_whole: Option<Instant>,
    /// The steps of the last pass, as one number, and how often they came before.
    steps: u64,
    repeats: u32,
    /// Looks in a row that failed.
    failed_looks: u32,
    /// What AWS refuses for the time being, and since when, until that is told.
    refusal: Option<(String, Option<Instant>)>,
    /// Whether the last pass saw everything that it wanted, so that nothing can be on its way that was not seen.
    was_whole: bool,
    /// Since when nothing is seen of a stack that is being deleted.
    empty_since: Option<Instant>,
    /// Whether somebody has touched the `ConfigMap` with the addresses, or it could not be written.
    export_look: bool,
}

/// How long something that was just made may be missing from a read. IAM is the slowest with about ten seconds.
const LAG_MAX: Duration = Duration::from_secs(20);

/// How long AWS may take to accept what it is expected to accept within seconds.
const PATIENCE: Duration = Duration::from_mins(2);

impl Memory {
    /// Counts a pass and returns how many came before it since the stack was settled or changed.
    pub(super) fn count(&self, uid: &str, generation: Option<i64>) -> u32 {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        if remembered.generation != generation {
            remembered.generation = generation;
            remembered.attempts = 0;
            remembered.repeats = 0;
            remembered.is_settled = false;
        }
        let before = remembered.attempts;
        remembered.attempts = before.saturating_add(1);
        before
    }

    /// How often in a row the same steps have come before. No steps are no repetition.
    pub(super) fn repeats(&self, uid: &str, steps: &[Step]) -> u32 {
        let mut hasher = DefaultHasher::new();
        for step in steps {
            step.to_string().hash(&mut hasher);
        }
        let hash = hasher.finish();
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        let is_same = !steps.is_empty() && remembered.steps == hash;
        remembered.repeats = if is_same { remembered.repeats.saturating_add(1) } else { 0 };
        remembered.steps = hash;
        remembered.repeats
    }

    /// Counts a look that failed and returns how many failed in a row before it.
    pub(super) fn count_failed_look(&self, uid: &str) -> u32 {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        let before = remembered.failed_looks;
        remembered.failed_looks = before.saturating_add(1);
        before
    }

    /// Notes a look at a stack that is kept, and whether it saw everything and nothing was left to do.
    pub(super) fn saw(&self, uid: &str, was_whole: bool) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.failed_looks = 0;
        remembered.was_whole = was_whole;
    }

    /// Notes a look at a stack that is deleted. When nothing is seen, says how long it must stay so before it can be
    /// believed: something that was made a moment ago may not be shown yet. `is_sure` is false when the look itself
    /// leaves a doubt.
    pub(super) fn saw_deleting(&self, uid: &str, is_empty: bool, is_sure: bool) -> Option<Duration> {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.failed_looks = 0;
        if !is_empty {
            remembered.empty_since = None;
            return None;
        }
        let since = *remembered.empty_since.get_or_insert_with(Instant::now);
        let needed = if remembered.was_whole && is_sure { Duration::ZERO } else { LAG_MAX };
        Some(needed.saturating_sub(since.elapsed()))
    }

    /// Notes for which reason AWS refuses something that it should accept soon, and says once when that lasts too long.
    pub(super) fn lasts(&self, uid: &str, reason: Option<&str>, now: Instant) -> bool {
        let mut all = self.lock();
        let refusal = &mut all.entry(uid.to_owned()).or_default().refusal;
        match (reason, refusal) {
            (Some(reason), Some((known, since))) if known == reason => {
                since.take_if(|since| now.duration_since(*since) >= PATIENCE).is_some()
            }
            (reason, refusal) => {
                *refusal = reason.map(|reason| (reason.to_owned(), Some(now)));
                false
            }
        }
    }

    /// Remembers the end of a pass.
    pub(super) fn remember(&self, uid: &str, version: Option<String>, due: Instant, is_settled: bool) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.version = version;
        remembered.due = Some(due);
        remembered.is_settled = is_settled;
        if is_settled {
            remembered.attempts = 0;
        }
    }

    /// The object's version after a write between two passes.
    pub(super) fn remember_version(&self, uid: &str, version: Option<String>) {
        self.lock().entry(uid.to_owned()).or_default().version = version;
    }

    /// Lets the next pass begin at once.
    pub(super) fn make_due(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default().due = None;
    }

    /// Asks for a look at the `ConfigMap` with the addresses.
    pub(super) fn look_at_export(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default().export_look = true;
    }

    /// Whether there is to be a look at the `ConfigMap`.
    pub(super) fn is_export_look_due(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|remembered| remembered.export_look)
    }

    /// Notes that the look at the `ConfigMap` begins.
    pub(super) fn take_export_look(&self, uid: &str) {
        if let Some(remembered) = self.lock().get_mut(uid) {
            remembered.export_look = false;
        }
    }

    /// Whether the spec, as it was when this pass was counted, was in place at the end of the pass before. What differs
    /// now was changed by somebody else.
    pub(super) fn was_settled(&self, uid: &str) -> bool {
        self.lock().get(uid).is_some_and(|remembered| remembered.is_settled)
    }

    /// Whether the last pass saw this generation of the spec in place.
    pub(super) fn is_in_place(&self, uid: &str, generation: Option<i64>) -> bool {
        self.lock().get(uid).is_some_and(|remembered| remembered.is_settled && remembered.generation == generation)
    }

    /// Whether a glance is enough: everything was in place, and a look at all of it is not long ago.
    pub(super) fn may_glance(&self, uid: &str, whole_every: Duration) -> bool {
        let all = self.lock();
        let looked = all.get(uid).filter(|remembered| remembered.is_settled).and_then(|it| it.looked_whole);
        looked.is_some_and(|looked| looked.elapsed() < whole_every)
    }

    /// Notes that everything was looked at and is in place.
    pub(super) fn saw_whole(&self, uid: &str) {
        self.lock().entry(uid.to_owned()).or_default().looked_whole = Some(Instant::now());
    }

    /// How long there is still to wait, when nobody but us has changed the object since the last pass: our own
    /// write of the status comes back as an event.
    pub(super) fn not_before(&self, uid: &str, version: Option<&str>) -> Option<Duration> {
        let all = self.lock();
        let remembered = all.get(uid)?;
        if version.is_none() || remembered.version.as_deref() != version {
            return None;
        }
        let left = remembered.due?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        // Every entry is whole at every moment, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::step::GatewayStep;

    #[test]
    fn our_own_write_brings_no_early_pass_but_anybody_elses_does() {
        let memory = Memory::default();
        memory.remember("u", Some("7".into()), Instant::now() + Duration::from_mins(1), true);
        assert!(memory.not_before("u", Some("7")).is_some());
        assert!(memory.not_before("u", Some("8")).is_none());
    }

    #[test]
    fn the_same_steps_again_are_noticed_and_others_start_anew() {
        let delete = |id: &str| Step::from(GatewayStep::DeleteApi { api_id: id.into() });
        let memory = Memory::default();
        let repeats = |steps: &[Step]| memory.repeats("u", steps);
        assert_eq!([repeats(&[delete("a")]), repeats(&[delete("a")]), repeats(&[delete("b")])], [0, 1, 0]);
        assert_eq!([repeats(&[]), repeats(&[])], [0, 0]);
    }

    #[test]
    fn nothing_is_believed_at_once_only_when_everything_was_seen_before() {
        let memory = Memory::default();
        memory.saw("whole", true);
        memory.count("whole", Some(2));
        assert_eq!(memory.saw_deleting("whole", false, true), None);
        assert_eq!(memory.saw_deleting("whole", true, true), Some(Duration::ZERO));
        memory.saw("partial", false);
        assert!(memory.saw_deleting("partial", true, true).is_some_and(|left| !left.is_zero()));
        assert!(memory.saw_deleting("unknown", true, true).is_some_and(|left| !left.is_zero()));
        memory.saw("doubtful", true);
        assert!(memory.saw_deleting("doubtful", true, false).is_some_and(|left| !left.is_zero()));
    }

    #[test]
    fn what_differs_after_a_change_of_the_spec_or_a_restart_is_no_drift() {
        let memory = Memory::default();
        memory.count("u", Some(1));
        assert!(!memory.was_settled("u"));
        memory.remember("u", None, Instant::now(), true);
        memory.count("u", Some(1));
        assert!(memory.was_settled("u"));
        memory.count("u", Some(2));
        assert!(!memory.was_settled("u"));
    }

    #[test]
    fn a_glance_is_enough_only_after_a_whole_look_and_only_for_what_is_in_place() {
        let memory = Memory::default();
        let hour = Duration::from_hours(1);
        memory.remember("u", None, Instant::now(), true);
        assert!(!memory.may_glance("u", hour), "nobody has looked at everything");
        memory.saw_whole("u");
        assert!(memory.may_glance("u", hour) && !memory.may_glance("u", Duration::ZERO));
        memory.remember("u", None, Instant::now(), false);
        assert!(!memory.may_glance("u", hour), "it is not in place");
    }

    #[test]
    fn failed_looks_count_in_a_row() {
        let memory = Memory::default();
        assert_eq!([memory.count_failed_look("u"), memory.count_failed_look("u")], [0, 1]);
        memory.saw("u", false);
        assert_eq!(memory.count_failed_look("u"), 0);
    }

    #[test]
    fn a_refusal_that_lasts_is_told_once_and_another_one_anew() {
        let memory = Memory::default();
        let began = Instant::now();
        let lasts = |reason, seconds| memory.lasts("u", reason, began + Duration::from_secs(seconds));
        assert_eq!([0, 119, 120, 500].map(|seconds| lasts(Some("Busy"), seconds)), [false, false, true, false]);
        assert_eq!([500, 619, 620].map(|seconds| lasts(Some("Propagating"), seconds)), [false, false, true]);
        assert_eq!([lasts(None, 700), lasts(Some("Propagating"), 900)], [false, false]);
    }

    #[test]
    fn a_changed_spec_starts_the_count_anew() {
        let memory = Memory::default();
        assert_eq!([memory.count("u", Some(1)), memory.count("u", Some(1)), memory.count("u", Some(2))], [0, 1, 0]);
    }
}
