//! Password hashes: Argon2id with stored parameters, at most two computed at once (`reliability.md` §11, §13).

use std::sync::{Condvar, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::identity::secrets::Password;
use crate::ids::random;

/// What one hash costs. Stored with each hash, so changing it never locks anybody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory, KiB.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// 19 MiB, two passes: the default and the OWASP minimum.
    pub const STANDARD: Cost = Cost { memory: 19 * 1024, passes: 2 };
    /// 12 MiB, three passes: the equal for boards under 512 MiB.
    pub const SMALL: Cost = Cost { memory: 12 * 1024, passes: 3 };
}

/// Hashes computed at once; the rest waits.
const AT_ONCE: usize = 2;
/// Callers that may wait; more are sent away.
const QUEUE: usize = 32;
const OUTPUT_BYTES: usize = 32;

/// Makes and checks password hashes for everybody, within a fixed amount of memory.
#[derive(Debug)]
pub struct Passwords {
    cost: Cost,
    gate: Mutex<Gate>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    running: usize,
    waiting: usize,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not this password, or no such account.
    Wrong,
    /// The right one.
    Right,
    /// The right one, and this is its hash at today's cost, to be stored.
    RightButOld(String),
}

impl Passwords {
    /// Hashes new passwords at `cost`.
    pub fn new(cost: Cost) -> Self {
        Passwords { cost, gate: Mutex::default(), free: Condvar::new() }
    }

    /// The hash of a new password as a PHC string. `Busy` when too many wait, `Invalid` for a bad length.
    pub fn hash(&self, password: &Password) -> Result<String> {
        password.check()?;
        let _turn = self.turn()?;
        make(password, self.cost)
    }

    /// Compares `password` with a stored hash; without one (an unknown user) it does the same work and says `Wrong`.
    /// `Busy` when too many wait.
    pub fn verify(&self, password: &Password, stored: Option<&str>) -> Result<Verdict> {
        let _turn = self.turn()?;
        let Some(stored) = stored else {
            compute(password, &[0; 16], self.cost)?;
            return Ok(Verdict::Wrong);
        };
        let stored = PasswordHash::new(stored).map_err(broken)?;
        let params = Params::try_from(&stored).map_err(broken)?;
        let cost = Cost { memory: params.m_cost(), passes: params.t_cost() };
        let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
            return Err(broken("no salt or output"));
        };
        let computed = compute(password, salt, cost)?;
        if !bool::from(computed.as_slice().ct_eq(expected.as_bytes())) {
            return Ok(Verdict::Wrong);
        }
        if cost.memory < self.cost.memory || cost.passes < self.cost.passes {
            return make(password, self.cost).map(Verdict::RightButOld);
        }
        Ok(Verdict::Right)
    }

    /// Waits for one of the places; given back when the answer is dropped.
    fn turn(&self) -> Result<Turn<'_>> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        if gate.running >= AT_ONCE {
            if gate.waiting >= QUEUE {
                return Err(Error::busy("too many logins at the same time, try again in a moment", 1));
            }
            gate.waiting += 1;
            while gate.running >= AT_ONCE {
                gate = self.free.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
            gate.waiting -= 1;
        }
        gate.running += 1;
        Ok(Turn(self))
    }
}

struct Turn<'a>(&'a Passwords);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.gate.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
        self.0.free.notify_one();
    }
}

fn make(password: &Password, cost: Cost) -> Result<String> {
    let salt = random::<16>()?;
    let output = compute(password, &salt, cost)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params(cost)?).map_err(broken)?,
        salt: Some(Salt::new(&salt).map_err(broken)?),
        hash: Some(Output::new(&output).map_err(broken)?),
    };
    Ok(hash.to_string())
}

fn compute(password: &Password, salt: &[u8], cost: Cost) -> Result<[u8; OUTPUT_BYTES]> {
    let params = params(cost)?;
    let blocks = params.block_count();
    // Room for more than 32 MiB is asked for, though only the blocks are touched: freeing a large chunk of up to
    // 32 MiB makes the C library keep chunks of that size for ever, and an idle server would never shrink again.
    let mut memory: Vec<Block> = Vec::new();
    if memory.try_reserve_exact(blocks.max(33 * 1024)).is_err() {
        return Err(Error::busy("not enough memory to check a password, try again in a moment", 5));
    }
    memory.resize(blocks, Block::new());
    let mut output = [0; OUTPUT_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_str().as_bytes(), salt, &mut output, memory.as_mut_slice())
        .map_err(broken)?;
    Ok(output)
}

fn params(cost: Cost) -> Result<Params> {
    Params::new(cost.memory, cost.passes, 1, Some(OUTPUT_BYTES)).map_err(broken)
}

fn broken(cause: impl std::fmt::Display) -> Error {
    Error::internal(format!("password hash: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    fn word(text: &str) -> Password {
        Password::new(text)
    }

    #[test]
    fn right_wrong_and_nobody() {
        let passwords = Passwords::new(CHEAP);
        let hash = passwords.hash(&word("geheim ✓")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(&word("geheim ✓")).unwrap());
        let cases = [
            ("geheim ✓", Some(hash.as_str()), Verdict::Right),
            ("geheim", Some(hash.as_str()), Verdict::Wrong),
            ("", Some(hash.as_str()), Verdict::Wrong),
            ("geheim ✓", None, Verdict::Wrong),
        ];
        for (password, stored, verdict) in cases {
            assert_eq!(passwords.verify(&word(password), stored).unwrap(), verdict, "{password}");
        }
        for broken in ["", "x", "$argon2id$v=19$m=64,t=1,p=1", "$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$aGFzaA"] {
            assert!(passwords.verify(&word("x"), Some(broken)).is_err(), "{broken}");
        }
        assert!(passwords.hash(&word("")).is_err());
    }

    #[test]
    fn the_standard_agrees_with_the_crates_own_check() {
        use argon2::PasswordVerifier;
        let hash = Passwords::new(Cost::STANDARD).hash(&word("x")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(Argon2::default().verify_password(b"x", hash.as_str()).is_ok());
    }

    #[test]
    fn an_old_cost_is_raised_and_a_chosen_one_kept() {
        let old = Passwords::new(CHEAP).hash(&word("x")).unwrap();
        let cases = [
            (CHEAP, false),
            (Cost { memory: 128, passes: 1 }, true),
            (Cost { memory: 32, passes: 2 }, true),
            (Cost { memory: 32, passes: 1 }, false),
        ];
        for (cost, raised) in cases {
            let passwords = Passwords::new(cost);
            match passwords.verify(&word("x"), Some(&old)).unwrap() {
                Verdict::RightButOld(new) => {
                    assert!(raised, "{cost:?}");
                    assert_eq!(passwords.verify(&word("x"), Some(&new)).unwrap(), Verdict::Right);
                }
                verdict => assert!(!raised && verdict == Verdict::Right, "{cost:?}"),
            }
        }
    }

    #[test]
    fn two_at_once_thirty_two_wait_and_the_rest_is_sent_away() {
        let passwords = Arc::new(Passwords::new(CHEAP));
        let turns = [passwords.turn().unwrap(), passwords.turn().unwrap()];
        let through = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..QUEUE)
            .map(|_| {
                let (passwords, through) = (Arc::clone(&passwords), Arc::clone(&through));
                std::thread::spawn(move || {
                    let _turn = passwords.turn().unwrap();
                    through.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        while passwords.gate.lock().unwrap().waiting < QUEUE {
            std::thread::yield_now();
        }
        let refused = passwords.verify(&word("x"), None).unwrap_err();
        assert_eq!((refused.kind, refused.retry_after), (crate::error::Kind::Busy, Some(1)));
        assert_eq!(through.load(Ordering::Relaxed), 0);
        drop(turns);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(through.load(Ordering::Relaxed), QUEUE);
        assert!(passwords.turn().is_ok());
    }
}
