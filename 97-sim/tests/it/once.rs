//! A key stands for the request that it came with for a day, and is new again then.

use std::sync::Arc;
use std::time::Duration;
use writ_core::{Digest, PrincipalId};
use writ_pipeline::{Journal, KEPT_FOR, Keyed, Known};
use writ_sim::open_journal;
use writ_store::MemoryLedger;

fn keyed(asks: &[u8]) -> Keyed {
    let by: PrincipalId = "person-01".parse().unwrap();
    let asks: Digest = writ_seal::sha256(asks);
    Keyed::new(&by, "one", "/api/v1/actions", asks)
}

async fn answer(journal: &Journal, version: u64, body: &[u8]) {
    let keyed = keyed(body);
    let trace = keyed.take(journal, version).await.unwrap();
    keyed.answered(journal, trace, 200, Some(body)).await.unwrap();
}

fn answered(body: &[u8]) -> Known {
    Known::Answered { status: 200, body: Some(body.to_vec()) }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_remembered_for_a_day_and_is_new_after_that() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 1).await.unwrap();
    let clock = journal.base().clock.clone();
    assert_eq!(keyed(b"a").known(&journal).await.unwrap(), Known::New { version: 0 });
    let taken = clock.now();
    answer(&journal, 0, b"a").await;
    // To the last moment of it, whether it is the same request or another.
    clock.sleep(taken.plus(KEPT_FOR).since(clock.now()) - Duration::from_millis(1)).await;
    assert_eq!(keyed(b"a").known(&journal).await.unwrap(), answered(b"a"));
    assert_eq!(keyed(b"b").known(&journal).await.unwrap(), Known::Other);
    clock.sleep(Duration::from_millis(1)).await;
    for asks in [b"a", b"b"] {
        assert_eq!(keyed(asks).known(&journal).await.unwrap(), Known::New { version: 2 });
    }
    // It begins anew with another request, whose day it is then; the former answer is told no more.
    answer(&journal, 2, b"b").await;
    assert_eq!(keyed(b"b").known(&journal).await.unwrap(), answered(b"b"));
    assert_eq!(keyed(b"a").known(&journal).await.unwrap(), Known::Other);
    clock.sleep(KEPT_FOR).await;
    assert_eq!(keyed(b"b").known(&journal).await.unwrap(), Known::New { version: 4 });
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_up_and_not_answered_is_new_after_a_day_too() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 2).await.unwrap();
    let trace = keyed(b"a").take(&journal, 0).await.unwrap();
    let begun = Known::Begun { trace, run: None, done: false };
    assert_eq!(keyed(b"a").known(&journal).await.unwrap(), begun);
    journal.base().clock.sleep(KEPT_FOR).await;
    assert_eq!(keyed(b"a").known(&journal).await.unwrap(), Known::New { version: 1 });
    // Of two who take it up anew, one does.
    keyed(b"a").take(&journal, 1).await.unwrap();
    assert!(keyed(b"a").take(&journal, 1).await.is_err());
}
