use super::*;
use crate::sql::{Ident, KeyColumn, KeyShape, KeyType};

const NOW: Collect = Collect { at_most: 2, linger: Duration::ZERO };

fn pending(keys: &[u64]) -> Pending {
    let pending = Pending::new(1, 1000, true);
    pending.put_back(keys.iter().copied().map(Key::Int));
    pending
}

fn take(pending: &Pending) -> Vec<u64> {
    let batch = pending.take(0, NOW, &Cancel::default()).unwrap();
    batch.keys.iter().map(|key| if let Key::Int(id) = key { *id } else { 0 }).collect()
}

#[test]
fn no_key_starves_behind_hot_ones() {
    let pending = pending(&[1, 2, 3, 4]);
    assert_eq!(take(&pending), [1, 2]);
    pending.put_back([Key::Int(1), Key::Int(2)]);
    assert_eq!(take(&pending), [3, 4]);
    assert_eq!(take(&pending), [1, 2]);
}

#[test]
fn outstanding_counts_every_place_a_key_can_be() {
    let pending = pending(&[1, 2, 3]);
    take(&pending);
    pending.put_later([Key::Int(9)], Duration::from_secs(100));
    pending.hold(5, again(&[8]));
    assert_eq!(pending.outstanding(), 5);
    pending.done(0, 2);
    assert_eq!(pending.outstanding(), 3);
    assert_eq!(pending.take_all(), [Key::Int(3), Key::Int(8), Key::Int(9)]);
    assert_eq!(pending.outstanding(), 3);
    pending.done_all(3);
    assert_eq!(pending.outstanding(), 0);
}

#[test]
fn a_key_that_is_being_refreshed_is_waited_for() {
    let shape = KeyShape {
        source_index: Ident::new("PRIMARY"),
        ghost_index: None,
        ghost_unique: true,
        columns: Vec::new(),
    };
    let has = |pending: &Pending, key: u64| {
        let mut wanted = Wanted::new(&[Key::Int(key)], &shape);
        !pending.wait_for_each_of(&mut wanted, Duration::ZERO, &Cancel::default()).unwrap()
    };
    let pending = pending(&[1]);
    assert!(has(&pending, 1));
    assert_eq!(take(&pending), [1]);
    assert!(has(&pending, 1));
    // It comes back, and is taken again, by whoever takes all.
    pending.put_later([Key::Int(1)], Duration::ZERO);
    pending.done(0, 1);
    assert!(has(&pending, 1));
    assert_eq!(pending.take_all(), [Key::Int(1)]);
    assert!(has(&pending, 1));
    pending.done_all(1);
    assert!(!has(&pending, 1));
}

#[test]
fn held_keys_come_back_when_the_last_of_their_chunks_has_ended() {
    let pending = pending(&[]);
    pending.hold(5, again(&[8]));
    pending.release(4);
    assert!(!pending.wait_for_at_most(0, Duration::ZERO, &Cancel::default()).unwrap());
    pending.release(5);
    assert_eq!(take(&pending), [8]);
}

fn again(keys: &[u64]) -> Batch {
    Batch { keys: keys.iter().copied().map(Key::Int).collect(), repeated: true }
}

#[test]
fn a_key_that_changed_again_is_no_longer_a_repetition() {
    let next = |pending: &Pending| pending.take(0, NOW, &Cancel::default()).unwrap();
    let pending = pending(&[]);
    pending.hold(0, again(&[8]));
    pending.release(0);
    assert_eq!(next(&pending), again(&[8]));
    // Before and after its release.
    for before in [true, false] {
        pending.hold(0, again(&[8]));
        if before {
            pending.put_back([Key::Int(8)]);
        }
        pending.release(0);
        if !before {
            pending.put_back([Key::Int(8)]);
        }
        assert_eq!(next(&pending), Batch { keys: vec![Key::Int(8)], repeated: false });
    }
}

#[test]
fn a_full_set_makes_its_filler_wait() {
    let pending = Pending::new(1, 1, true);
    let cancel = Cancel::default();
    assert!(pending.add(Key::Int(1), &cancel));
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| pending.add(Key::Int(2), &cancel));
        assert_eq!(take(&pending), [1]);
        assert!(adding.join().unwrap());
    });
    cancel.set();
    assert!(!pending.add(Key::Int(3), &cancel));
}

#[test]
fn keys_that_may_be_one_row_stay_with_one_worker() {
    let pending = Pending::new(4, 1000, false);
    pending.put_back((0..100).map(Key::Int));
    let all = Collect { at_most: 1000, linger: Duration::ZERO };
    assert_eq!(pending.take(0, all, &Cancel::default()).unwrap().keys.len(), 100);
}

fn wanted(keys: &[u64]) -> Wanted {
    let shape = KeyShape {
        source_index: Ident::new("PRIMARY"),
        ghost_index: None,
        ghost_unique: true,
        columns: vec![KeyColumn {
            source: Ident::new("id"),
            ghost: Ident::new("id"),
            ty: KeyType::Int { unsigned: true },
            descending: false,
        }],
    };
    let keys: Vec<Key> = keys.iter().copied().map(Key::Int).collect();
    Wanted::new(&keys, &shape)
}

#[test]
fn a_key_is_waited_for_wherever_it_is() {
    let pending = pending(&[1, 2, 3]);
    let is_done = |keys: &[u64]| {
        pending.wait_for_each_of(&mut wanted(keys), Duration::ZERO, &Cancel::default()).unwrap()
    };
    assert!(is_done(&[4]));
    assert!(!is_done(&[4, 3]));
    assert_eq!(take(&pending), [1, 2]);
    assert!(!is_done(&[1]), "a worker has it");
    // It could not be refreshed.
    pending.put_later([Key::Int(1)], Duration::from_secs(100));
    pending.done(0, 2);
    assert!(is_done(&[2]));
    assert!(!is_done(&[1]));
    pending.hold(5, again(&[8]));
    assert!(!is_done(&[8]));
}

#[test]
fn who_waits_for_a_batch_does_not_wait_for_the_next() {
    let pending = pending(&[1, 2, 3, 4]);
    let cancel = Cancel::default();
    assert_eq!(take(&pending), [1, 2]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            pending.wait_for_each_of(&mut wanted(&[1]), Duration::from_secs(60), &cancel).unwrap()
        });
        pending.done(0, 2);
        assert_eq!(take(&pending), [3, 4]);
        assert!(waits.join().unwrap());
    });
}

#[test]
fn keys_that_somebody_has_taken_all_of_are_waited_for() {
    let pending = pending(&[1, 2]);
    let is_waiting = || {
        let cancel = Cancel::default();
        !pending.wait_for_each_of(&mut wanted(&[1]), Duration::ZERO, &cancel).unwrap()
    };
    let keys = pending.take_all();
    assert!(is_waiting());
    pending.put_back(keys);
    pending.done_all(2);
    assert!(is_waiting());
    pending.take_all();
    pending.done_all(2);
    assert!(!is_waiting());
}

/// A row that changes all the time is always pending, and refreshed again and again all the same.
#[test]
fn who_waits_for_hot_keys_waits_for_one_refresh_of_each() {
    let pending = pending(&[1, 2, 3]);
    let cancel = Cancel::default();
    // Taken before the wait: read perhaps before the change that it is about.
    assert_eq!(take(&pending), [1, 2]);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            pending
                .wait_for_each_of(&mut wanted(&[1, 2, 3]), Duration::from_secs(60), &cancel)
                .unwrap()
        });
        while pending.state.lock().wanted.is_none() {
            std::thread::yield_now();
        }
        for key in [1, 2, 3] {
            assert!(pending.add(Key::Int(key), &cancel));
        }
        pending.done(0, 2);
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished(), "a batch from before the wait counts for nothing");
        let batches: [(&[u64], _); 4] =
            [(&[3], None), (&[1, 2], Some(1)), (&[3], None), (&[1, 2], None)];
        for (batch, back) in batches {
            assert!(!waits.is_finished());
            assert_eq!(take(&pending), batch);
            // They change again at once, and one could not be refreshed.
            for key in batch {
                assert!(pending.add(Key::Int(*key), &cancel));
            }
            pending.put_back(back.map(Key::Int));
            pending.done(0, batch.len());
        }
        assert!(waits.join().unwrap());
        assert_eq!(pending.outstanding(), 3);
    });
}
