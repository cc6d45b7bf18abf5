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
    /// The steps of the last pass, as one number, and how often they came before.
    steps: u64,
    repeats: u32,
}

impl Memory {
    /// Counts a pass and returns how many came before it since the stack was settled or changed.
    pub(super) fn count(&self, uid: &str, generation: Option<i64>) -> u32 {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        if remembered.generation != generation {
            *remembered = Remembered { generation, ..Remembered::default() };
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

    /// Remembers the end of a pass.
    pub(super) fn remember(&self, uid: &str, version: Option<String>, due: Instant, is_settled: bool) {
        let mut all = self.lock();
        let remembered = all.entry(uid.to_owned()).or_default();
        remembered.version = version;
        remembered.due = Some(due);
        if is_settled {
            remembered.attempts = 0;
        }
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
    fn a_changed_spec_starts_the_count_anew() {
        let memory = Memory::default();
        assert_eq!([memory.count("u", Some(1)), memory.count("u", Some(1)), memory.count("u", Some(2))], [0, 1, 0]);
    }
}
