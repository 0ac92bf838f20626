use super::*;

#[test]
fn what_was_filled_is_found_with_its_type_and_nothing_else_is() {
    let mut cache = cache();
    let id = lead(&mut cache, b"abc");
    assert_eq!(cache.fetch(0, b"abc"), None);
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    assert_eq!(cache.request(0, b"abc", 1, DUE_NS), Found::Hit(id));
    assert_eq!(cache.output(id), (&b"out"[..], &OUTPUT));
    assert_eq!(cache.fetch(0, b"abc"), Some((&b"out"[..], &OUTPUT)));
    for input in [&b"abd"[..], b"ab", b"abc\0", b""] {
        assert_eq!(cache.fetch(0, input), None);
    }
}

#[test]
fn identical_calls_are_evaluated_once_and_each_is_told_in_the_order_in_which_they_came() {
    let mut cache = cache();
    let id = lead(&mut cache, b"abc");
    let joined = (1..=3).all(|waiter| cache.request(0, b"abc", waiter, DUE_NS) == Found::Joined);
    assert!(joined);
    assert_eq!(cache.next_waiter(id), None, "there is nothing to tell yet");
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    let told: Vec<u32> = std::iter::from_fn(|| cache.next_waiter(id)).collect();
    assert_eq!(told, [1, 2, 3]);
    assert_eq!((cache.stats.misses.get(), cache.stats.joined.get()), (1, 3));
}

#[test]
fn who_is_due_before_the_leader_does_not_wait_for_it() {
    let mut cache = cache();
    let id = lead_until(&mut cache, b"abc", 500);
    let found = [499, 500].map(|due| cache.request(0, b"abc", 1, due) == Found::Joined);
    assert_eq!((found, cache.stats.bypassed.get()), ([false, true], 1));
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    assert_eq!((cache.next_waiter(id), cache.next_waiter(id)), (Some(1), None));
}

#[test]
fn when_a_leader_gives_up_the_first_who_joined_leads_with_its_own_deadline() {
    let mut cache = cache();
    let id = lead_until(&mut cache, b"abc", 500);
    cache.request(0, b"abc", 1, 600);
    cache.request(0, b"abc", 2, 700);
    assert_eq!(cache.give_up(id), Some(1));
    assert_eq!(cache.request(0, b"abc", 3, 599), Found::Bypassed);
    assert_eq!(cache.request(0, b"abc", 4, 600), Found::Joined);
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    assert_eq!([0; 3].map(|_| cache.next_waiter(id)), [Some(2), Some(4), None]);
}

#[test]
fn when_all_have_given_up_the_next_leads_under_another_handle() {
    let mut cache = cache();
    let id = lead(&mut cache, b"abc");
    cache.request(0, b"abc", 1, DUE_NS);
    assert_eq!([0; 3].map(|_| cache.give_up(id)), [Some(1), None, None]);
    assert_eq!(cache.entries_used, 0);
    assert_ne!(lead(&mut cache, b"abc"), id);
    assert_sound(&cache);
}

#[test]
fn a_handle_that_outlived_its_entry_does_nothing() {
    let mut cache = Cache::new(plan(CACHE_BYTES_MIN, CACHE_BYTES_MIN));
    assert_eq!(cache.entries.room(), 1);
    let stale = lead(&mut cache, b"abc");
    cache.give_up(stale);
    let id = lead(&mut cache, b"xyz");
    assert_eq!(id.place(), stale.place());
    cache.request(0, b"xyz", 1, DUE_NS);
    assert!(!cache.fill(0, stale, b"out", &OUTPUT));
    assert_eq!((cache.give_up(stale), cache.next_waiter(stale)), (None, None));
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    assert!(!cache.fill(0, id, b"again", &OUTPUT));
    assert_eq!((cache.give_up(id), cache.next_waiter(id)), (None, Some(1)));
    assert_eq!(cache.fetch(0, b"xyz"), Some((&b"out"[..], &OUTPUT)));
}

#[test]
fn an_output_that_is_too_old_is_evaluated_again() {
    let mut cache = Cache::new(CachePlan { ttl_ns: Some(100), ..plan(1 << 20, 64) });
    let id = lead(&mut cache, b"abc");
    cache.fill(50, id, b"out", &OUTPUT);
    assert!(cache.fetch(149, b"abc").is_some());
    assert_eq!(cache.fetch(150, b"abc"), None);
    let Found::Miss(id) = cache.request(150, b"abc", 1, DUE_NS) else { panic!("it is too old") };
    assert_eq!((cache.stats.expired.get(), cache.entries_used), (1, 1));
    cache.fill(160, id, b"new", &OUTPUT);
    assert_eq!(cache.fetch(259, b"abc"), Some((&b"new"[..], &OUTPUT)));
}

#[test]
fn an_output_of_a_type_that_the_model_no_longer_has_is_evaluated_again() {
    let mut cache = cache();
    assert_eq!([ask(&mut cache, b"abc"), ask(&mut cache, b"abc")], [false, true]);
    let id = lead(&mut cache, b"xyz");
    let other = TensorSpec::scalar(ElementType::Int32);
    cache.fill(0, id, &[0; 4], &other);
    assert_eq!(cache.fetch(0, b"abc"), None);
    assert_eq!(cache.fetch(0, b"xyz"), Some((&[0; 4][..], &other)));
    assert!(matches!(cache.request(0, b"abc", 1, DUE_NS), Found::Miss(_)));
    assert_eq!(cache.stats.expired.get(), 1);
}

#[test]
fn who_joined_is_told_even_if_the_output_is_too_large_to_be_kept() {
    let mut cache = cache();
    let id = lead(&mut cache, b"abc");
    cache.request(0, b"abc", 1, DUE_NS);
    let large = vec![1; cache.arena.bytes() / 8];
    assert!(cache.fill(0, id, &large, &OUTPUT));
    let again = lead(&mut cache, b"abc");
    assert_ne!(again, id, "nobody joins a call that is over");
    assert_eq!((cache.next_waiter(id), cache.next_waiter(id)), (Some(1), None));
    assert_eq!((cache.stats.too_large.get(), cache.entries_used), (1, 1));
    assert_sound(&cache);
    assert!(cache.fill(0, again, &large, &OUTPUT));
    assert_eq!(cache.entries_used, 0);
}

#[test]
fn who_finds_no_room_to_wait_evaluates_for_itself() {
    let mut cache = Cache::new(plan(CACHE_BYTES_MIN, 64));
    let id = lead(&mut cache, b"abc");
    let room = u32::try_from(cache.waiters.free()).unwrap();
    assert!(room > 10);
    assert!((0..room).all(|waiter| cache.request(0, b"abc", waiter, DUE_NS) == Found::Joined));
    assert_eq!(cache.request(0, b"abc", room, DUE_NS), Found::Bypassed);
    assert!(cache.fill(0, id, b"out", &OUTPUT));
    assert!(std::iter::from_fn(|| cache.next_waiter(id)).eq(0..room));
    assert_eq!(cache.waiters.free(), room as usize);
}
