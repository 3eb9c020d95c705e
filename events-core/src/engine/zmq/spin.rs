//! A wait that stays awake at first, so that what comes soon need not wake a thread.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::engine::Seen;

/// Looks again and again for `time`, letting others run in between, and then once for what is left of `limit`.
pub(super) fn wait(
    time: Duration,
    limit: Duration,
    mut look: impl FnMut(Duration) -> io::Result<Seen>,
) -> io::Result<Seen> {
    if time.is_zero() {
        return look(limit);
    }
    let (time, since) = (time.min(limit), Instant::now());
    while since.elapsed() < time {
        let seen = look(Duration::ZERO)?;
        if !seen.is_nothing() {
            return Ok(seen);
        }
        thread::yield_now();
    }
    look(limit - time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOMETHING: Seen = Seen(1);
    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_comes_soon_is_found_awake() {
        let mut looks = Vec::new();
        let seen = wait(Duration::MAX, Duration::MAX, |limit| {
            looks.push(limit);
            Ok(if looks.len() == 3 { SOMETHING } else { Seen::default() })
        });
        assert_eq!(seen.expect("it looks"), SOMETHING);
        assert_eq!(looks, [Duration::ZERO; 3]);
    }

    #[test]
    fn then_it_sleeps_for_the_rest() {
        let mut last = Duration::MAX;
        let seen = wait(MOMENT, MOMENT * 3, |limit| {
            last = limit;
            Ok(Seen::default())
        });
        assert!(seen.expect("it looks").is_nothing());
        assert_eq!(last, MOMENT * 2);
    }

    #[test]
    fn it_takes_no_longer_than_the_limit() {
        let mut last = Duration::MAX;
        wait(Duration::MAX, MOMENT, |limit| {
            last = limit;
            Ok(Seen::default())
        })
        .expect("it looks");
        assert_eq!(last, Duration::ZERO);
    }
}
