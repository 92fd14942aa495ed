//! The line in front of a repo: its writers come one after the other, and those that wait may be taken along by the one
//! whose turn it is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Those that are taken along at once at most.
const MOST: usize = 256;

/// Writers of one thing. `T` is what one of them wants, `R` what it is told.
pub(super) struct Line<T, R> {
    turn: Mutex<()>,
    waiting: Mutex<Vec<Waiting<T, R>>>,
    next: AtomicU64,
}

struct Waiting<T, R> {
    number: u64,
    wish: T,
    reply: SyncSender<R>,
}

impl<T, R> Default for Line<T, R> {
    fn default() -> Line<T, R> {
        Line { turn: Mutex::default(), waiting: Mutex::default(), next: AtomicU64::new(0) }
    }
}

impl<T, R> Line<T, R> {
    /// Runs `work` when nobody else's turn it is.
    pub(super) fn alone<A>(&self, work: impl FnOnce() -> A) -> A {
        let _turn = lock(&self.turn);
        work()
    }

    /// Has `wish` carried out: by whoever's turn it is and takes it along, or by `lead` here, together with those that
    /// wait and, by `fits`, may go with it. `lead` is given the wishes in the order they came, and answers each in the
    /// same order. None when the one that took it along went down.
    pub(super) fn join(
        &self,
        wish: T,
        fits: impl Fn(&T, &T) -> bool,
        lead: impl FnOnce(Vec<T>) -> Vec<R>,
    ) -> Option<R> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = sync_channel(1);
        lock(&self.waiting).push(Waiting { number, wish, reply });
        let _turn = lock(&self.turn);
        if let Ok(told) = answer.try_recv() {
            return Some(told);
        }
        let (wishes, replies) = self.take(number, fits)?;
        for (reply, told) in replies.into_iter().zip(lead(wishes)) {
            // Nobody gives up waiting: the receiver lives until it has its turn.
            let _ = reply.send(told);
        }
        answer.try_recv().ok()
    }

    /// Takes out the wish with this number and those that go with it.
    fn take(&self, number: u64, fits: impl Fn(&T, &T) -> bool) -> Option<(Vec<T>, Vec<SyncSender<R>>)> {
        let mut waiting = lock(&self.waiting);
        let own = waiting.iter().position(|waiting| waiting.number == number)?;
        let mut left = MOST - 1;
        let mut along = vec![false; waiting.len()];
        for (at, other) in waiting.iter().enumerate() {
            let goes = at == own || left > 0 && waiting.get(own).is_some_and(|own| fits(&own.wish, &other.wish));
            left -= usize::from(goes && at != own);
            if let Some(along) = along.get_mut(at) {
                *along = goes;
            }
        }
        let (mut wishes, mut replies, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (other, along) in waiting.drain(..).zip(along) {
            match along {
                true => {
                    wishes.push(other.wish);
                    replies.push(other.reply);
                }
                false => others.push(other),
            }
        }
        *waiting = others;
        Some((wishes, replies))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn those_that_wait_go_together_in_the_order_they_came() {
        let line: Line<u64, (u64, usize)> = Line::default();
        let rounds = AtomicUsize::new(0);
        let lead = |wishes: Vec<u64>| {
            rounds.fetch_add(1, Ordering::SeqCst);
            let count = wishes.len();
            wishes.into_iter().map(|wish| (wish * 2, count)).collect()
        };
        let (line, lead) = (&line, &lead);
        std::thread::scope(|scope| {
            let threads = line.alone(|| {
                let threads: Vec<_> = (0..20u64).map(|wish| scope.spawn(move || line_join(line, wish, lead))).collect();
                // Nobody's turn comes before this one ends: all of them stand in line.
                while lock(&line.waiting).len() < 20 {
                    std::thread::yield_now();
                }
                threads
            });
            for (wish, thread) in (0..20u64).zip(threads) {
                // Even and odd ones do not go together.
                assert_eq!(thread.join().unwrap(), Some((wish * 2, 10)));
            }
        });
        assert_eq!(rounds.load(Ordering::SeqCst), 2);
        assert_eq!(line_join(line, 7, lead), Some((14, 1)));

        fn line_join(
            line: &Line<u64, (u64, usize)>,
            wish: u64,
            lead: &(dyn Fn(Vec<u64>) -> Vec<(u64, usize)> + Sync),
        ) -> Option<(u64, usize)> {
            line.join(wish, |own, other| own % 2 == other % 2, lead)
        }
    }

    #[test]
    fn one_that_goes_down_takes_only_its_own_along() {
        let line: Line<u64, u64> = Line::default();
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            line.join(1, |_, _| true, |_| panic!("on purpose"));
        }));
        assert!(broken.is_err());
        assert_eq!(line.join(2, |_, _| true, |wishes| wishes), Some(2));
        assert_eq!(line.join(3, |_, _| true, |_| Vec::new()), None);
    }
}
