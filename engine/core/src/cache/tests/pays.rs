use super::*;
use crate::limits::{CACHE_OFF_WINDOWS, CACHE_WINDOW_MIN};
use crate::policy::Random;

const WINDOW: u64 = CACHE_WINDOW_MIN as u64;
const CYCLE: u64 = WINDOW * (1 + CACHE_OFF_WINDOWS as u64);

/// A small cache: its windows are the least.
fn small() -> Cache<u32> {
    let cache = Cache::new(plan(200_000, 64));
    assert!(cache.entries.room() <= CACHE_WINDOW_MIN as usize);
    cache
}

/// Asks so many times, a share of that again for one of the last hundred inputs. Says how many of
/// them were looked up.
fn ask_again(cache: &mut Cache<u32>, numbers: std::ops::Range<u64>, share: f64) -> u64 {
    let mut random = Random::new(1);
    let bypassed = cache.stats.bypassed.get();
    let requests = numbers.end - numbers.start;
    for number in numbers {
        let is_again = random.uniform() < share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 100")]
        let back = (random.uniform() * 100.0) as u64;
        let number = if is_again { number.saturating_sub(back) } else { number };
        ask(cache, &number.to_le_bytes());
    }
    requests - (cache.stats.bypassed.get() - bypassed)
}

#[test]
fn a_stream_without_repeats_is_bypassed_but_for_one_window_in_a_cycle() {
    let mut cache = small();
    assert_eq!(ask_again(&mut cache, 0..CYCLE * 4, 0.0), WINDOW * 4);
    assert_eq!(cache.stats.misses.get(), WINDOW * 4);
    cache.publish_gauges();
    assert_eq!(cache.stats.is_off.get(), 1);
}

#[test]
fn a_stream_with_thirty_percent_of_repeats_is_always_looked_up() {
    let mut cache = small();
    assert_eq!(ask_again(&mut cache, 0..CYCLE * 4, 0.3), CYCLE * 4);
    let hits = cache.stats.hits.get();
    // Some that are asked for again were themselves not asked for: another was in their stead.
    assert!(hits * 100 > CYCLE * 4 * 20, "{hits} hits");
    cache.publish_gauges();
    assert_eq!(cache.stats.is_off.get(), 0);
}

#[test]
fn when_a_stream_begins_to_repeat_the_next_try_turns_the_cache_on_for_good() {
    let mut cache = small();
    assert_eq!(ask_again(&mut cache, 0..CYCLE - 10, 0.0), WINDOW);
    assert_eq!(ask_again(&mut cache, CYCLE - 10..CYCLE * 3, 0.3), CYCLE * 2);
    assert_eq!(ask_again(&mut cache, CYCLE * 3..CYCLE * 4, 0.0), WINDOW);
}
