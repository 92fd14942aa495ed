//! The transfer lane: many threads with small stacks, started when needed, for work that waits on clients.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Which way the bytes of a transfer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// To the client; may use every thread.
    Down,
    /// From the client; a share of the threads is kept from it, so that uploads never stop downloads.
    Up,
}

/// The bounds of a lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most threads.
    pub(super) threads: usize,
    /// Most threads that work for uploads at the same time.
    pub(super) uploads: usize,
    /// Most jobs of one direction that wait for a thread.
    pub(super) queue: usize,
    /// A thread without work leaves after this time.
    pub(super) idle: Duration,
    /// Bytes of stack.
    pub(super) stack: usize,
}

/// A bounded queue of jobs and the threads that do them.
pub(super) struct Lane<J> {
    bounds: Bounds,
    state: Mutex<State<J>>,
    /// Work has come, or the lane is closed.
    work: Condvar,
    /// A thread has left.
    left: Condvar,
}

struct State<J> {
    down: VecDeque<(Instant, J)>,
    up: VecDeque<(Instant, J)>,
    threads: usize,
    idle: usize,
    uploading: usize,
    closed: bool,
}

impl<J: Send + 'static> Lane<J> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let state =
            State { down: VecDeque::new(), up: VecDeque::new(), threads: 0, idle: 0, uploading: 0, closed: false };
        Lane { bounds, state: Mutex::new(state), work: Condvar::new(), left: Condvar::new() }
    }

    /// Queues a job for `run`. `Err` gives it back: the queue is full, the lane closed, or no thread can be had.
    pub(super) fn push(
        self: &Arc<Self>,
        direction: Direction,
        job: J,
        run: impl Fn(J) + Send + Sync + Clone + 'static,
    ) -> Result<(), J> {
        self.push_within(self.bounds.queue, direction, job, run)
    }

    /// The same for the rest of a job that was begun: a full queue is no reason to give it up.
    pub(super) fn push_again(
        self: &Arc<Self>,
        direction: Direction,
        job: J,
        run: impl Fn(J) + Send + Sync + Clone + 'static,
    ) -> Result<(), J> {
        self.push_within(usize::MAX, direction, job, run)
    }

    fn push_within(
        self: &Arc<Self>,
        bound: usize,
        direction: Direction,
        job: J,
        run: impl Fn(J) + Send + Sync + Clone + 'static,
    ) -> Result<(), J> {
        let mut state = self.lock();
        if state.closed {
            return Err(job);
        }
        let queue = if direction == Direction::Down { &mut state.down } else { &mut state.up };
        if queue.len() >= bound {
            return Err(job);
        }
        queue.push_back((Instant::now(), job));
        let may_start = direction == Direction::Down || state.uploading < self.bounds.uploads;
        let waiting = state.down.len() + state.up.len();
        if state.idle < waiting && state.threads < self.bounds.threads && may_start {
            state.threads += 1;
            let lane = self.clone();
            let work = move || lane.work_off(&run);
            let spawned = thread::Builder::new().name("transfer".into()).stack_size(self.bounds.stack).spawn(work);
            if let Err(error) = spawned {
                log::error!("no thread for a transfer: {error}");
                state.threads -= 1;
                if state.threads == 0 {
                    // Nobody would ever come for it.
                    let queue = if direction == Direction::Down { &mut state.down } else { &mut state.up };
                    if let Some((_, job)) = queue.pop_back() {
                        return Err(job);
                    }
                }
            }
        }
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Jobs that have waited for a thread since before `limit`; taken out of the queue.
    pub(super) fn overdue(&self, limit: Instant) -> Vec<J> {
        let mut state = self.lock();
        let State { down, up, .. } = &mut *state;
        let mut jobs = Vec::new();
        for queue in [down, up] {
            while queue.front().is_some_and(|(since, _)| *since < limit) {
                jobs.extend(queue.pop_front().map(|(_, job)| job));
            }
        }
        jobs
    }

    /// No more jobs; the ones that wait are given back, running ones end by themselves.
    pub(super) fn close(&self) -> Vec<J> {
        let mut state = self.lock();
        state.closed = true;
        let State { down, up, .. } = &mut *state;
        let jobs = down.drain(..).chain(up.drain(..)).map(|(_, job)| job).collect();
        drop(state);
        self.work.notify_all();
        jobs
    }

    /// Waits until every thread has left; whether they have by `deadline`.
    pub(super) fn join(&self, deadline: Instant) -> bool {
        let mut state = self.lock();
        while state.threads > 0 {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            state = self.left.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn work_off(&self, run: &impl Fn(J)) {
        let mut state = self.lock();
        loop {
            match state.take(self.bounds.uploads) {
                Some((direction, job)) => {
                    state.uploading += usize::from(direction == Direction::Up);
                    drop(state);
                    run(job);
                    state = self.lock();
                    state.uploading -= usize::from(direction == Direction::Up);
                }
                None if state.closed => break,
                None => {
                    state.idle += 1;
                    let (after, wait) =
                        self.work.wait_timeout(state, self.bounds.idle).unwrap_or_else(PoisonError::into_inner);
                    state = after;
                    state.idle -= 1;
                    if wait.timed_out() && !state.has_work(self.bounds.uploads) {
                        break;
                    }
                }
            }
        }
        state.threads -= 1;
        drop(state);
        self.left.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J> State<J> {
    /// The job that has waited longest and may run.
    fn take(&mut self, uploads: usize) -> Option<(Direction, J)> {
        let since = |queue: &VecDeque<(Instant, J)>| queue.front().map(|(since, _)| *since);
        let up = since(&self.up).filter(|_| self.uploading < uploads);
        let direction = match (since(&self.down), up) {
            (Some(down), Some(up)) if up < down => Direction::Up,
            (Some(_), _) => Direction::Down,
            (None, Some(_)) => Direction::Up,
            (None, None) => return None,
        };
        let queue = if direction == Direction::Down { &mut self.down } else { &mut self.up };
        queue.pop_front().map(|(_, job)| (direction, job))
    }

    fn has_work(&self, uploads: usize) -> bool {
        !self.down.is_empty() || (!self.up.is_empty() && self.uploading < uploads)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const BOUNDS: Bounds =
        Bounds { threads: 3, uploads: 1, queue: 2, idle: Duration::from_millis(20), stack: 256 * 1024 };

    #[test]
    fn keeps_a_share_for_downloads_and_refuses_beyond_its_queue() {
        let lane = Arc::new(Lane::new(BOUNDS));
        let (started, starts) = mpsc::channel();
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let run = {
            let gate = gate.clone();
            move |job: &'static str| {
                started.send(job).unwrap();
                drop(gate.lock());
            }
        };
        lane.push(Direction::Up, "up 1", run.clone()).unwrap();
        assert_eq!(starts.recv_timeout(Duration::from_secs(20)), Ok("up 1"));
        lane.push(Direction::Up, "up 2", run.clone()).unwrap();
        lane.push(Direction::Up, "up 3", run.clone()).unwrap();
        assert_eq!(lane.push(Direction::Up, "up 4", run.clone()), Err("up 4"));
        lane.push(Direction::Down, "down 1", run.clone()).unwrap();
        assert_eq!(starts.recv_timeout(Duration::from_secs(20)), Ok("down 1"));
        assert_eq!(lane.overdue(Instant::now() + Duration::from_secs(1)), ["up 2", "up 3"]);
        lane.push(Direction::Up, "up 5", run.clone()).unwrap();
        drop(closed);
        assert_eq!(starts.recv_timeout(Duration::from_secs(20)), Ok("up 5"));
        assert!(lane.close().is_empty());
        assert_eq!(lane.push(Direction::Down, "late", run), Err("late"));
        assert!(lane.join(Instant::now() + Duration::from_secs(20)));
    }

    #[test]
    fn threads_without_work_leave() {
        let lane = Arc::new(Lane::new(BOUNDS));
        lane.push(Direction::Down, (), |()| {}).unwrap();
        assert!(lane.join(Instant::now() + Duration::from_secs(20)));
        lane.push(Direction::Down, (), |()| {}).unwrap();
        assert!(lane.join(Instant::now() + Duration::from_secs(20)));
    }
}
