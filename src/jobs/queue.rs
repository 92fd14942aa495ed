//! The queue in memory and its threads: which job is next, what happens when one has run.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::{Clock, Time};
use crate::error::{Error, Kind, Result};
use crate::jobs::context::{Context, Live};
use crate::jobs::{JOBS, Job, JobId, State};
use crate::store::Store;
use crate::store::table::Newest;

const THREADS: usize = 2;
const STACK: usize = 1 << 20;
/// Pause before the first retry; each further one is three times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Pause before the database is asked again when it did not take a job's state.
const STORE_PAUSE: Duration = Duration::from_secs(5);

type Run = Box<dyn Fn(&Context) -> Result<String> + Send + Sync>;

/// Everything the clones of `Jobs` and the threads share.
pub(super) struct Queue {
    store: Arc<Store>,
    clock: Arc<Clock>,
    kinds: RwLock<HashMap<&'static str, Arc<Registered>>>,
    recurring: Mutex<Vec<(Duration, &'static str, String)>>,
    inside: Mutex<Inside>,
    changed: Condvar,
}

struct Registered {
    retries: u32,
    lane: Lane,
    resumes: bool,
    run: Run,
}

#[derive(Default)]
struct Inside {
    waiting: BTreeMap<JobId, Waiting>,
    running: HashMap<JobId, Running>,
    threads: usize,
    started: bool,
    stopping: bool,
}

/// Threads that jobs share: the ordinary ones, or those of one kind.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lane {
    name: &'static str,
    width: usize,
}

const ORDINARY: Lane = Lane { name: "", width: THREADS };

struct Waiting {
    lane: Lane,
    kind: String,
    target: String,
    /// Not before; none for at once.
    due: Option<Instant>,
}

struct Running {
    lane: Lane,
    target: String,
    live: Arc<Live>,
}

/// What a thread does next.
enum Next {
    Run(JobId, Waiting),
    Wait(Duration),
    Leave,
}

impl Queue {
    pub(super) fn new(store: Arc<Store>, clock: Arc<Clock>) -> Queue {
        Queue {
            store,
            clock,
            kinds: RwLock::default(),
            recurring: Mutex::default(),
            inside: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn register(&self, kind: &'static str, retries: u32, run: Run) {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(kind, Arc::new(Registered { retries, lane: ORDINARY, resumes: true, run }));
    }

    pub(super) fn register_apart(&self, kind: &'static str, width: usize, run: Run) {
        let lane = Lane { name: kind, width: width.max(1) };
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        kinds.insert(kind, Arc::new(Registered { retries: 0, lane, resumes: false, run }));
    }

    /// Whether a job of this kind that a stop of the program cut off is begun anew.
    pub(super) fn resumes(&self, kind: &str) -> bool {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        kinds.get(kind).is_none_or(|kind| kind.resumes)
    }

    fn waiting(&self, kind: String, target: String) -> Waiting {
        let kinds = self.kinds.read().unwrap_or_else(PoisonError::into_inner);
        let lane = kinds.get(kind.as_str()).map_or(ORDINARY, |kind| kind.lane);
        Waiting { lane, kind, target, due: None }
    }

    pub(super) fn knows(&self, kind: &str) -> bool {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).contains_key(kind)
    }

    pub(super) fn every(&self, period: Duration, kind: &'static str, target: &str) {
        self.recurring.lock().unwrap_or_else(PoisonError::into_inner).push((period, kind, target.to_owned()));
    }

    pub(super) fn recurring(&self) -> Vec<(Duration, &'static str, String)> {
        self.recurring.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the queue with what waits already.
    pub(super) fn begin(self: &Arc<Self>, jobs: impl Iterator<Item = (JobId, String, String)>) {
        let jobs: Vec<_> = jobs.map(|(id, kind, target)| (id, self.waiting(kind, target))).collect();
        let mut inside = self.inside();
        inside.started = true;
        for (id, waiting) in jobs {
            // What was queued between the look at the rows and now is there already, or even running.
            if !inside.running.contains_key(&id) {
                inside.waiting.entry(id).or_insert(waiting);
            }
        }
        self.hire(&mut inside);
    }

    pub(super) fn add(self: &Arc<Self>, id: JobId, kind: String, target: String) {
        let waiting = self.waiting(kind, target);
        let mut inside = self.inside();
        inside.waiting.insert(id, waiting);
        self.hire(&mut inside);
        self.changed.notify_all();
    }

    /// Threads come when there is something to run and go when there is nothing to wait for.
    fn hire(self: &Arc<Self>, inside: &mut Inside) {
        if !inside.started || inside.stopping {
            return;
        }
        let mut lanes: HashMap<&str, (usize, usize)> = HashMap::new();
        let waiting = inside.waiting.values().map(|waiting| waiting.lane);
        for lane in waiting.chain(inside.running.values().map(|running| running.lane)) {
            lanes.entry(lane.name).or_insert((0, lane.width)).0 += 1;
        }
        let wanted = lanes.values().map(|(jobs, width)| jobs.min(width)).sum();
        while inside.threads < wanted {
            let queue = Arc::clone(self);
            let work = move || queue.work();
            match thread::Builder::new().name("jobs".into()).stack_size(STACK).spawn(work) {
                Ok(_) => inside.threads += 1,
                Err(error) => {
                    log::error!("no thread for jobs: {error}");
                    return;
                }
            }
        }
    }

    /// The job with what it told since its row was written.
    pub(super) fn freshen(&self, id: JobId, mut job: Job) -> Job {
        if job.state == State::Running
            && let Some(running) = self.inside().running.get(&id)
        {
            running.live.fill(&mut job);
        }
        job
    }

    pub(super) fn call_off(&self, id: JobId, running: bool) {
        let mut inside = self.inside();
        inside.waiting.remove(&id);
        if let Some(running) = inside.running.get(&id).filter(|_| running) {
            running.live.call_off();
        }
        self.changed.notify_all();
    }

    pub(super) fn stop(&self, grace: Duration) -> bool {
        let end = Instant::now() + grace;
        let mut inside = self.inside();
        inside.stopping = true;
        for running in inside.running.values() {
            running.live.call_off();
        }
        self.changed.notify_all();
        while inside.threads > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            inside = self.changed.wait_timeout(inside, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    #[cfg(test)]
    pub(super) fn is_stopping(&self) -> bool {
        self.inside().stopping
    }

    fn work(self: Arc<Self>) {
        loop {
            let (id, waiting) = {
                let mut inside = self.inside();
                loop {
                    match next(&mut inside, Instant::now()) {
                        Next::Run(id, waiting) => break (id, waiting),
                        Next::Wait(time) => {
                            inside = self.changed.wait_timeout(inside, time).unwrap_or_else(PoisonError::into_inner).0;
                        }
                        Next::Leave => {
                            inside.threads -= 1;
                            self.changed.notify_all();
                            return;
                        }
                    }
                }
            };
            let again = self.run(id, &waiting);
            let mut inside = self.inside();
            inside.running.remove(&id);
            if let Some(pause) = again {
                inside.waiting.insert(id, Waiting { due: Some(Instant::now() + pause), ..waiting });
            }
            self.changed.notify_all();
        }
    }

    /// Runs a job once; answers after which pause it is to be run again, if at all.
    fn run(&self, id: JobId, waiting: &Waiting) -> Option<Duration> {
        let live = self.inside().running.get(&id).map(|running| Arc::clone(&running.live))?;
        let kind = self.kinds.read().unwrap_or_else(PoisonError::into_inner).get(waiting.kind.as_str()).cloned();
        let Some(kind) = kind else {
            self.conclude(id, &live, State::Failed, Some("unknown kind of job".to_owned()));
            return None;
        };
        let now = self.clock.now();
        let begun = self.store.commit(move |tx| match JOBS.get(tx, Newest(id.0))? {
            Some(mut job) if job.state == State::Queued => {
                job.state = State::Running;
                job.started = Some(now);
                job.tries = job.tries.saturating_add(1);
                JOBS.put(tx, Newest(id.0), &job)?;
                Ok(Some(job))
            }
            _ => Ok(None),
        });
        let job = match begun {
            Ok(Some(job)) => job,
            // Called off just now.
            Ok(None) => return None,
            Err(error) => {
                log::warn!("job {id}: {error:?}");
                return Some(STORE_PAUSE);
            }
        };
        live.begin(&job);
        let tries = job.tries;
        let context = Context { id, job, live: Arc::clone(&live), store: Arc::clone(&self.store) };
        let result = catch_unwind(AssertUnwindSafe(|| (kind.run)(&context)))
            .unwrap_or_else(|_| Err(Error::internal("the job panicked")));
        drop(context);
        let (state, outcome) = match result {
            Ok(outcome) => (State::Done, Some(outcome)),
            Err(_) if self.inside().stopping => {
                // The row says "running": the next start queues it again.
                return None;
            }
            Err(_) if live.is_called_off() => (State::Cancelled, Some("called off".to_owned())),
            Err(error) => {
                log::warn!("job {id} ({} {}), try {tries}: {error:?}", waiting.kind, waiting.target);
                let passing = matches!(error.kind, Kind::Busy | Kind::Quota | Kind::Internal);
                let again = passing && tries <= kind.retries;
                (if again { State::Queued } else { State::Failed }, Some(error.message.into_owned()))
            }
        };
        self.conclude(id, &live, state, outcome);
        (state == State::Queued).then(|| pause_after(tries))
    }

    /// Writes what came of a job. A database that does not answer is asked again until it does or the program ends.
    fn conclude(&self, id: JobId, live: &Arc<Live>, state: State, outcome: Option<String>) {
        let now = self.clock.now();
        loop {
            let (live, outcome) = (Arc::clone(live), outcome.clone());
            let written = self.store.commit(move |tx| {
                if let Some(mut job) = JOBS.get(tx, Newest(id.0))? {
                    live.fill(&mut job);
                    job.state = state;
                    job.ended = (state != State::Queued).then_some(now);
                    job.outcome.clone_from(&outcome);
                    JOBS.put(tx, Newest(id.0), &job)?;
                    if state != State::Queued {
                        super::close(tx, id, &job)?;
                    }
                }
                Ok(())
            });
            let Err(error) = written else { return };
            log::warn!("job {id}: its outcome could not be written, another try follows: {error:?}");
            let inside = self.inside();
            let waited = self.changed.wait_timeout_while(inside, STORE_PAUSE, |inside| !inside.stopping);
            if waited.unwrap_or_else(PoisonError::into_inner).0.stopping {
                return;
            }
        }
    }
}

/// The oldest job that is due and whose target is free; if there is none, how long to wait for one.
fn next(inside: &mut Inside, now: Instant) -> Next {
    if inside.stopping {
        return Next::Leave;
    }
    let free = |waiting: &Waiting| {
        let beside = inside.running.values().filter(|running| running.lane == waiting.lane).count();
        beside < waiting.lane.width && inside.running.values().all(|running| running.target != waiting.target)
    };
    let due = |waiting: &Waiting| waiting.due.is_none_or(|due| due <= now);
    let found = inside.waiting.iter().find(|(_, waiting)| due(waiting) && free(waiting)).map(|(id, _)| *id);
    if let Some((id, waiting)) = found.and_then(|id| inside.waiting.remove_entry(&id)) {
        let live = Arc::default();
        inside.running.insert(id, Running { lane: waiting.lane, target: waiting.target.clone(), live });
        return Next::Run(id, waiting);
    }
    // Whoever runs a job of a busy target takes the next one of it: nothing to wait for here.
    match inside.waiting.values().filter_map(|waiting| waiting.due).filter(|due| *due > now).min() {
        Some(due) => Next::Wait(due - now),
        None => Next::Leave,
    }
}

fn pause_after(tries: u32) -> Duration {
    let factor = 3_u32.checked_pow(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_an_hour() {
        for (tries, seconds) in [(1, 10), (2, 30), (3, 90), (6, 2430), (7, 3600), (50, 3600)] {
            assert_eq!(pause_after(tries), Duration::from_secs(seconds), "{tries}");
        }
    }

    #[test]
    fn the_oldest_due_job_of_a_free_target_is_next() {
        let now = Instant::now();
        let later = now + Duration::from_secs(9);
        let mut inside = Inside::default();
        let waiting = |target: &str, due| Waiting {
            lane: Lane { name: "", width: 9 },
            kind: "k".into(),
            target: target.into(),
            due,
        };
        inside.waiting.insert(JobId(1), waiting("a", Some(later)));
        inside.waiting.insert(JobId(2), waiting("b", None));
        inside.waiting.insert(JobId(3), waiting("b", None));
        inside.waiting.insert(JobId(4), waiting("c", Some(now)));
        let mut order = Vec::new();
        while let Next::Run(id, _) = next(&mut inside, now) {
            order.push(id.0);
        }
        assert_eq!(order, [2, 4]);
        assert!(matches!(next(&mut inside, now), Next::Wait(time) if time == Duration::from_secs(9)));
        inside.running.remove(&JobId(2));
        assert!(matches!(next(&mut inside, now), Next::Run(JobId(3), _)));
        assert!(matches!(next(&mut inside, later), Next::Run(JobId(1), _)));
        assert!(matches!(next(&mut inside, later), Next::Leave));
        let narrow = |target: &str| Waiting { lane: Lane { name: "n", width: 1 }, ..waiting(target, None) };
        inside.waiting.insert(JobId(6), narrow("x"));
        inside.waiting.insert(JobId(7), narrow("y"));
        assert!(matches!(next(&mut inside, later), Next::Run(JobId(6), _)));
        assert!(matches!(next(&mut inside, later), Next::Leave), "the lane is full");
        inside.stopping = true;
        inside.waiting.insert(JobId(5), waiting("z", None));
        assert!(matches!(next(&mut inside, later), Next::Leave));
    }
}
