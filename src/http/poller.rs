//! The table of connections: parked ones cost a slot and no thread; deadlines and eviction without a scan per event.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::readiness::Interest;
use super::stream::Stream;

/// Slots beyond the number of connections there may be.
const SPARE: usize = 64;

/// What can be parked in a [`Table`].
pub(super) trait Parked: Send {
    /// Its slot.
    fn key(&self) -> usize;
    /// Its bytes.
    fn stream(&self) -> &Stream;
    /// When it is looked at even without an event.
    fn deadline(&self) -> Instant;
    /// It waits for a request: the first to go when room is needed or the server stops.
    fn is_quiet(&self) -> bool;
    /// Asks for an event.
    fn arm(&self, interest: Interest) -> std::io::Result<()>;
}

/// A fixed number of slots for connections.
///
/// A slot's lock decides who owns a connection: a worker with an event, or the keeper with a deadline. The deadlines
/// themselves are plain numbers beside the slots, written without a lock when a connection is parked and looked through
/// a few times a second: ten thousand of them take some microseconds.
#[derive(Debug)]
pub(super) struct Table<C> {
    slots: Box<[Slot<C>]>,
    free: Mutex<Vec<usize>>,
    /// Slots behind the others, for connections that are let in only to be told that there is no room.
    spare: Mutex<Vec<usize>>,
    size: usize,
    live: AtomicUsize,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    begin: Instant,
}

#[derive(Debug)]
struct Slot<C> {
    place: Mutex<Place<C>>,
    /// Microseconds since `begin`; 0: none.
    deadline: AtomicU64,
    /// Since when it waits for a request; 0: it does not.
    quiet: AtomicU64,
}

#[derive(Debug)]
enum Place<C> {
    Empty,
    /// Waits for an event or its deadline.
    Parked(Box<C>),
    /// A worker has it; the stream is here so that a stop can end it.
    Busy(Stream),
}

impl<C: Parked> Table<C> {
    pub(super) fn new(size: usize) -> Self {
        let slot = |_| Slot { place: Mutex::new(Place::Empty), deadline: AtomicU64::new(0), quiet: AtomicU64::new(0) };
        Table {
            slots: (0..size + SPARE).map(slot).collect(),
            free: Mutex::new((0..size).rev().collect()),
            spare: Mutex::new((size..size + SPARE).rev().collect()),
            size,
            live: AtomicUsize::new(0),
            addresses: Mutex::new(HashMap::new()),
            begin: Instant::now(),
        }
    }

    /// Connections there are.
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// A free slot, to be given back with [`Table::release`].
    pub(super) fn reserve(&self) -> Option<usize> {
        let key = lock(&self.free).pop()?;
        self.live.fetch_add(1, Ordering::AcqRel);
        Some(key)
    }

    /// A slot for a connection that there is no room for, given back in the same way.
    pub(super) fn reserve_spare(&self) -> Option<usize> {
        let key = lock(&self.spare).pop()?;
        self.live.fetch_add(1, Ordering::AcqRel);
        Some(key)
    }

    /// Counts a connection from `address`; false when there are `most` already.
    pub(super) fn count(&self, address: IpAddr, most: usize) -> bool {
        let mut addresses = lock(&self.addresses);
        let count = addresses.entry(group(address)).or_default();
        let admitted = *count < most;
        *count += usize::from(admitted);
        admitted
    }

    /// Takes back what [`Table::count`] counted.
    pub(super) fn uncount(&self, address: IpAddr) {
        let mut addresses = lock(&self.addresses);
        if let Some(count) = addresses.get_mut(&group(address)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                addresses.remove(&group(address));
            }
        }
    }

    /// The connection of that slot is gone.
    pub(super) fn release(&self, key: usize) {
        let Some(slot) = self.slots.get(key) else { return };
        slot.deadline.store(0, Ordering::Release);
        slot.quiet.store(0, Ordering::Release);
        let old = std::mem::replace(&mut *lock(&slot.place), Place::Empty);
        // Outside the lock: dropping the last hold on a socket closes it.
        drop(old);
        lock(if key < self.size { &self.free } else { &self.spare }).push(key);
        self.live.fetch_sub(1, Ordering::AcqRel);
    }

    /// Leaves a connection in its slot until `interest` comes true or its deadline is reached.
    pub(super) fn park(&self, connection: Box<C>, interest: Interest) {
        let Some(slot) = self.slots.get(connection.key()) else { return };
        let quiet = if connection.is_quiet() { self.micros(Instant::now()) } else { 0 };
        let deadline = self.micros(connection.deadline());
        let mut place = lock(&slot.place);
        // Armed under the lock: the event may come at once, and whoever gets it must find the connection.
        if let Err(error) = connection.arm(interest) {
            drop(place);
            log::warn!("a connection cannot be watched and is closed: {error}");
            return;
        }
        slot.deadline.store(deadline, Ordering::Release);
        slot.quiet.store(quiet, Ordering::Release);
        *place = Place::Parked(connection);
    }

    /// The connection parked in that slot, which then belongs to the caller.
    pub(super) fn take(&self, key: usize) -> Option<Box<C>> {
        self.take_if(key, |_| true)
    }

    fn take_if(&self, key: usize, wanted: impl FnOnce(&C) -> bool) -> Option<Box<C>> {
        let slot = self.slots.get(key)?;
        let mut place = lock(&slot.place);
        match &*place {
            Place::Parked(connection) if wanted(connection) => {
                let busy = Place::Busy(connection.stream().clone());
                slot.deadline.store(0, Ordering::Release);
                slot.quiet.store(0, Ordering::Release);
                match std::mem::replace(&mut *place, busy) {
                    Place::Parked(connection) => Some(connection),
                    Place::Empty | Place::Busy(_) => None,
                }
            }
            _ => None,
        }
    }

    /// Connections whose deadline is over; they belong to the caller.
    pub(super) fn overdue(&self, now: Instant) -> impl Iterator<Item = Box<C>> {
        let limit = self.micros(now);
        self.slots.iter().enumerate().filter_map(move |(key, slot)| {
            let deadline = slot.deadline.load(Ordering::Acquire);
            if deadline == 0 || deadline > limit {
                return None;
            }
            self.take_if(key, |connection| connection.deadline() <= now)
        })
    }

    /// The connection that has waited longest for a request; it belongs to the caller.
    pub(super) fn oldest_quiet(&self) -> Option<Box<C>> {
        // Another thread may take the one found; a second look is enough.
        (0..2).find_map(|_| {
            let since = |slot: &Slot<C>| slot.quiet.load(Ordering::Acquire);
            let quiet = self.slots.iter().enumerate().filter(|(_, slot)| since(slot) != 0);
            let (key, _) = quiet.min_by_key(|(_, slot)| since(slot))?;
            self.take_if(key, C::is_quiet)
        })
    }

    /// Every connection that waits for a request; they belong to the caller.
    pub(super) fn all_quiet(&self) -> impl Iterator<Item = Box<C>> {
        (0..self.slots.len()).filter_map(|key| self.take_if(key, C::is_quiet))
    }

    /// Ends every connection: parked ones belong to the caller, the sockets of busy ones are shut under their workers.
    pub(super) fn end_all(&self) -> impl Iterator<Item = Box<C>> {
        (0..self.slots.len()).filter_map(|key| {
            if let Some(Place::Busy(stream)) = self.slots.get(key).map(|slot| lock(&slot.place)).as_deref() {
                // Gone already is as good.
                _ = stream.socket().shutdown(Shutdown::Both);
            }
            self.take(key)
        })
    }

    fn micros(&self, time: Instant) -> u64 {
        let since = time.saturating_duration_since(self.begin).max(Duration::from_micros(1));
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Addresses that count as one: an IPv6 network of one customer has 64 bits of its own.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// The lock, whatever a panicking thread may have left behind: every critical section here leaves whole values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;

    struct Fake {
        key: usize,
        stream: Stream,
        deadline: Instant,
        quiet: bool,
    }

    impl Parked for Fake {
        fn key(&self) -> usize {
            self.key
        }

        fn stream(&self) -> &Stream {
            &self.stream
        }

        fn deadline(&self) -> Instant {
            self.deadline
        }

        fn is_quiet(&self) -> bool {
            self.quiet
        }

        fn arm(&self, _: Interest) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn addresses_count_alone_and_networks_together() {
        let table = Table::<Fake>::new(1);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(table.count(address("192.0.2.1"), 2) && table.count(address("::ffff:192.0.2.1"), 2));
        assert!(!table.count(address("192.0.2.1"), 2));
        assert!(table.count(address("192.0.2.2"), 2));
        table.uncount(address("192.0.2.1"));
        assert!(table.count(address("192.0.2.1"), 2));
        assert!(table.count(address("2001:db8::1"), 1));
        assert!(!table.count(address("2001:db8::ffff:2"), 1));
        assert!(table.count(address("2001:db8:0:1::1"), 1));
        for gone in ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::2", "2001:db8:0:1::1", "2001:db8:0:1::1"] {
            table.uncount(address(gone));
        }
        assert!(lock(&table.addresses).is_empty());
    }

    #[test]
    fn one_owner_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = Stream::Plain(Arc::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()));
        let table = Table::new(3);
        let now = Instant::now();
        let keys: Vec<_> = (0..3).map(|_| table.reserve().unwrap()).collect();
        assert_eq!((table.reserve(), table.live()), (None, 3));
        let park = |at: usize, seconds: u64, quiet| {
            let deadline = now + Duration::from_secs(seconds);
            table.park(Box::new(Fake { key: keys[at], stream: stream.clone(), deadline, quiet }), Interest::Read);
            // So that no two are parked in the same microsecond.
            std::thread::sleep(Duration::from_micros(10));
        };
        park(0, 1, false);
        park(1, 2, true);
        park(2, 3, true);
        assert_eq!(table.overdue(now).count(), 0);
        let late: Vec<_> = table.overdue(now + Duration::from_secs(2)).map(|fake| fake.key).collect();
        assert_eq!(late, keys[..2]);
        assert!(table.take(keys[0]).is_none(), "taken already");
        park(1, 9, true);
        assert_eq!(table.oldest_quiet().map(|fake| fake.key), Some(keys[2]));
        assert_eq!(table.oldest_quiet().map(|fake| fake.key), Some(keys[1]));
        assert!(table.oldest_quiet().is_none());
        park(0, 9, false);
        park(1, 9, true);
        assert_eq!(table.all_quiet().count(), 1);
        assert_eq!(table.end_all().map(|fake| fake.key).collect::<Vec<_>>(), keys[..1]);
        keys.iter().for_each(|key| table.release(*key));
        assert_eq!((table.live(), Arc::strong_count(stream.socket())), (0, 1));
        assert!(table.reserve().is_some());
    }
}
