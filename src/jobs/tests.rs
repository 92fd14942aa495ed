//! Tests of the jobs as a whole, on stores of their own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::*;
use crate::error::Kind;
use crate::store::Options;

const GUARD: Duration = Duration::from_secs(30);

struct House {
    _directory: tempfile::TempDir,
    store: Arc<Store>,
    clock: Arc<Clock>,
}

impl House {
    fn new() -> House {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        House { _directory: directory, store, clock: Arc::default() }
    }

    fn jobs(&self) -> Jobs {
        Jobs::new(self.store.clone(), self.clock.clone())
    }

    fn put(&self, jobs: &Jobs, kind: &'static str, target: &str, input: Value) -> Result<JobId> {
        let new = NewJob { kind, target: target.into(), input, by: "test".into() };
        let (jobs, now) = (jobs.clone(), self.clock.now());
        self.store.commit(move |tx| jobs.enqueue(tx, &new, now))
    }
}

/// Waits until `what` holds; a test that would wait for ever fails instead.
fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + GUARD;
    while !what() {
        assert!(Instant::now() < end, "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn state(jobs: &Jobs, id: JobId) -> State {
    jobs.get(id).unwrap().unwrap().state
}

/// A gate jobs wait at: how many came, and whether they may go on.
#[derive(Default)]
struct Gate {
    inside: Mutex<(u32, bool)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut inside = self.inside.lock().unwrap();
        inside.0 += 1;
        self.changed.notify_all();
        let _open = self.changed.wait_timeout_while(inside, GUARD, |inside| !inside.1).unwrap();
    }

    fn came(&self, count: u32) {
        let inside = self.inside.lock().unwrap();
        let (inside, timeout) = self.changed.wait_timeout_while(inside, GUARD, |inside| inside.0 < count).unwrap();
        assert!(!timeout.timed_out() && inside.0 == count, "{} came", inside.0);
    }

    fn open(&self) {
        self.inside.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

#[test]
fn a_job_runs_tells_and_ends_and_no_thread_stays() {
    let house = House::new();
    let jobs = house.jobs();
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    jobs.register("copy", 0, move |job| {
        job.progress(3, Some(4), "copying");
        job.log("hello");
        inside.pass();
        Ok(format!("copied {} to {}", job.input(), job.target()))
    });
    let id = house.put(&jobs, "copy", "repo/a", serde_json::json!(7)).unwrap();
    assert_eq!(state(&jobs, id), State::Queued, "nothing runs before the start");
    jobs.start().unwrap();
    gate.came(1);
    let running = jobs.get(id).unwrap().unwrap();
    assert_eq!(running.state, State::Running);
    assert_eq!(running.progress, Progress { done: 3, total: Some(4), stage: "copying".into() });
    assert_eq!((running.log, running.tries), (vec!["hello".to_owned()], 1));
    assert_eq!(jobs.open().unwrap().len(), 1);
    gate.open();
    until(|| state(&jobs, id) == State::Done);
    let done = jobs.get(id).unwrap().unwrap();
    assert_eq!(done.outcome.as_deref(), Some("copied 7 to repo/a"));
    assert!(done.ended >= done.started && done.started >= Some(done.created));
    assert_eq!((done.progress.done, done.log.len()), (3, 1));
    assert!(jobs.open().unwrap().is_empty());
    assert!(jobs.stop(GUARD));
}

#[test]
fn one_at_a_time_per_target_and_two_in_all() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.start().unwrap();
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    jobs.register("wait", 0, move |_| {
        inside.pass();
        Ok(String::new())
    });
    let targets = ["a", "a", "b", "c"];
    let ids: Vec<_> = targets
        .iter()
        .enumerate()
        .map(|(number, target)| house.put(&jobs, "wait", target, number.into()).unwrap())
        .collect();
    assert!(ids.is_sorted());
    gate.came(2);
    let states: Vec<_> = ids.iter().map(|id| state(&jobs, *id)).collect();
    assert_eq!(states, [State::Running, State::Queued, State::Running, State::Queued]);
    gate.open();
    until(|| ids.iter().all(|id| state(&jobs, *id) == State::Done));
    gate.came(4);
    let listed: Vec<_> = jobs.list(None, 3).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(listed, [ids[3], ids[2], ids[1]]);
    assert_eq!(jobs.list(Some(ids[1]), 9).unwrap().len(), 1);
    assert!(jobs.stop(GUARD));
}

#[test]
fn the_same_wish_joins_what_is_queued_but_not_what_runs() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.start().unwrap();
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    jobs.register("publish", 0, move |_| {
        inside.pass();
        Ok(String::new())
    });
    let put = |input: u32| house.put(&jobs, "publish", "repo/a", input.into()).unwrap();
    let first = put(1);
    gate.came(1);
    let second = put(1);
    assert_ne!(first, second);
    assert_eq!(put(1), second);
    assert_ne!(put(2), second);
    gate.open();
    until(|| jobs.open().unwrap().is_empty());
    assert!(house.put(&jobs, "unknown", "", Value::Null).is_err());
}

#[test]
fn failures_of_the_moment_are_tried_again_and_others_are_not() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.start().unwrap();
    jobs.register("busy", 1, |_| Err(Error::busy("later", 1)));
    jobs.register("wrong", 9, |_| Err(Error::invalid("no such thing")));
    jobs.register("panics", 0, |_| panic!("a job's own fault"));
    let busy = house.put(&jobs, "busy", "a", Value::Null).unwrap();
    let wrong = house.put(&jobs, "wrong", "b", Value::Null).unwrap();
    let panics = house.put(&jobs, "panics", "c", Value::Null).unwrap();
    until(|| [wrong, panics].iter().all(|id| state(&jobs, *id) == State::Failed));
    let get = |id| jobs.get(id).unwrap().unwrap();
    assert_eq!((get(wrong).tries, get(wrong).outcome.as_deref()), (1, Some("no such thing")));
    assert_eq!(get(panics).outcome.as_deref(), Some("internal error"));
    until(|| get(busy).tries == 1 && get(busy).state == State::Queued && get(busy).outcome.is_some());
    assert_eq!((get(busy).outcome.as_deref(), get(busy).ended), (Some("later"), None));
    // It waits for its second try; the stop does not wait for that.
    assert!(jobs.stop(GUARD));

    // After a start there is no pause to wait out, and the last try's failure is final.
    let again = house.jobs();
    again.register("busy", 1, |_| Err(Error::busy("still", 1)));
    again.start().unwrap();
    until(|| state(&again, busy) == State::Failed);
    assert_eq!(again.get(busy).unwrap().unwrap().tries, 2);
    assert!(again.stop(GUARD));
}

#[test]
fn queued_and_running_jobs_are_called_off() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.start().unwrap();
    let begun = Arc::new(AtomicU32::new(0));
    let count = begun.clone();
    jobs.register("endless", 0, move |job| {
        count.fetch_add(1, Ordering::SeqCst);
        loop {
            job.check()?;
            std::thread::yield_now();
        }
    });
    let running = house.put(&jobs, "endless", "a", 1.into()).unwrap();
    let queued = house.put(&jobs, "endless", "a", 2.into()).unwrap();
    until(|| begun.load(Ordering::SeqCst) == 1);
    jobs.cancel(queued).unwrap();
    assert_eq!(state(&jobs, queued), State::Cancelled);
    jobs.cancel(running).unwrap();
    until(|| state(&jobs, running) == State::Cancelled);
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    assert_eq!(jobs.cancel(running).unwrap_err().kind, Kind::Conflict);
    assert_eq!(jobs.cancel(JobId(1)).unwrap_err().kind, Kind::NotFound);
    assert!(jobs.stop(GUARD));
}

#[test]
fn what_ran_at_the_stop_is_queued_at_the_start() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.start().unwrap();
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    jobs.register("long", 0, move |job| {
        inside.pass();
        job.check()?;
        Ok(String::new())
    });
    jobs.register("gone", 0, |_| Ok(String::new()));
    let id = house.put(&jobs, "long", "a", Value::Null).unwrap();
    gate.came(1);
    let gone = house.put(&jobs, "gone", "a", Value::Null).unwrap();
    let stopping = std::thread::spawn({
        let jobs = jobs.clone();
        move || jobs.stop(GUARD)
    });
    until(|| jobs.queue.is_stopping());
    gate.open();
    assert!(stopping.join().unwrap());
    assert_eq!(state(&jobs, id), State::Running);

    let again = house.jobs();
    again.register("long", 0, |_| Ok("second time".into()));
    again.start().unwrap();
    until(|| state(&again, id) == State::Done);
    let job = again.get(id).unwrap().unwrap();
    assert_eq!((job.tries, job.outcome.as_deref()), (2, Some("second time")));
    assert!(job.log[0].contains("begun anew"));
    assert_eq!(again.get(gone).unwrap().unwrap().outcome.as_deref(), Some("unknown kind of job"));
    assert!(again.stop(GUARD));
}

#[test]
fn recurring_jobs_come_once_a_period_whatever_the_clock_does() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.register("scrub", 0, |_| Ok(String::new()));
    jobs.every(Duration::from_secs(1000), "scrub", "shelf");
    let count = || {
        jobs.tick().unwrap();
        jobs.list(None, 99).unwrap().len()
    };
    assert_eq!(count(), 0, "not at the first start");
    house.clock.shift(999);
    assert_eq!(count(), 0);
    house.clock.shift(2);
    assert_eq!((count(), count()), (1, 1));
    jobs.start().unwrap();
    until(|| jobs.open().unwrap().is_empty());
    house.clock.shift(-5000);
    assert_eq!(count(), 1);
    house.clock.shift(1001);
    assert_eq!(count(), 2, "a clock put right does not delay it for years");
    assert!(jobs.stop(GUARD));
}

#[test]
fn the_queue_and_the_history_are_bounded() {
    let house = House::new();
    let jobs = house.jobs();
    jobs.register("noop", 0, |_| Ok(String::new()));
    let (inner, now) = (jobs.clone(), house.clock.now());
    let (kept, refused) = house
        .store
        .commit(move |tx| {
            let new =
                |number: u64| NewJob { kind: "noop", target: "a".into(), input: number.into(), by: String::new() };
            for number in 0..2500 {
                let id = inner.enqueue(tx, &new(number), now)?;
                finish(tx, id, State::Done, "", now)?;
            }
            let kept = JOBS.len(tx)?;
            for number in 0..MAX_OPEN {
                inner.enqueue(tx, &new(number), now)?;
            }
            Ok((kept, inner.enqueue(tx, &new(5000), now).unwrap_err().kind))
        })
        .unwrap();
    assert_eq!((kept, refused), (MAX_JOBS, Kind::Busy));
    assert_eq!(jobs.open().unwrap().len() as u64, MAX_OPEN);
}
