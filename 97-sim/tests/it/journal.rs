//! The journal on its own.

use crate::conformance::draft;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use writ_audit::Checkpoint;
use writ_core::{Actor, Ledger as _, Witness as _};
use writ_pipeline::{
    Batch, CommitError, ContinueError, Erase, Expect, Foundations, Holds, Journal, OpenError, RotateError, Trust,
    continue_journal, erase, say, verify, while_held, whoever_asked, why,
};
use writ_seal::{Key, NoteKey};
use writ_sim::{foundations, open_journal};
use writ_store::MemoryLedger;

#[tokio::test]
async fn sixty_four_writers_lose_nothing_and_share_groups() {
    let ledger = Arc::new(MemoryLedger::new());
    let journal = open_journal(ledger.clone(), 5).await.unwrap();
    let writers = (0..64).map(|w| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let cause = journal.new_cause();
            for n in 0..50 {
                journal.commit(&cause, Batch::of(vec![draft(&format!("run/{w}"), n)])).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let audit = verify(&*ledger, &Trust::default()).await.unwrap();
    assert_eq!(audit.size, 64 * 50 + 1);
    assert!(audit.checkpoints < audit.size, "groups were shared");
}

#[tokio::test]
async fn a_body_with_a_float_and_one_too_large_are_refused_by_kind() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 6).await.unwrap();
    let mut float = draft("run/a", 1);
    float.body = serde_json::json!({"ratio": 0.5});
    let error = journal.commit(&journal.new_cause(), Batch::of(vec![float])).await.unwrap_err();
    assert!(matches!(error, CommitError::NotCanonical { kind: "test.said/1", .. }));
    let mut large = draft("run/a", 1);
    large.body = serde_json::json!({"text": "x".repeat(70_000)});
    let error = journal.commit(&journal.new_cause(), Batch::of(vec![large])).await.unwrap_err();
    assert!(matches!(error, CommitError::TooLarge { .. }));
    assert_eq!(journal.ledger().head().await.unwrap().unwrap().size, 1);
}

#[tokio::test]
async fn what_is_asked_for_is_held_to_whoever_asked_up_to_its_first_commit() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 6).await.unwrap();
    let record = async |stream: &str| {
        let batch = Batch::of(vec![draft(stream, 1)]);
        journal.commit(&journal.new_cause(), batch).await.map(|receipt| receipt.entries[0].version)
    };
    record("principal/ada").await.unwrap();
    // Read, and then moved: what they may is asked anew, and they still may.
    let asked = Arc::new(AtomicU64::new(0));
    let times = asked.clone();
    let holds: Holds = Arc::new(move || {
        let version = times.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(Ok(Expect { stream: "principal/ada".into(), version })) })
    });
    while_held(holds, async {
        assert_eq!(record("run/a").await.unwrap(), 1);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(record("run/a").await.unwrap(), 2, "what follows, follows in any case");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    })
    .await;
    let lost: Holds = Arc::new(|| Box::pin(async { Ok(Err("ada".parse().unwrap())) }));
    while_held(lost, async {
        assert_eq!(whoever_asked(record("run/a")).await.unwrap(), 3);
        assert!(matches!(record("run/a").await, Err(CommitError::NotHeld { .. })));
    })
    .await;
    assert_eq!(record("run/a").await.unwrap(), 4);
}

#[tokio::test]
async fn a_rotated_key_takes_over_and_the_old_one_is_refused() {
    let ledger = Arc::new(MemoryLedger::new());
    let base = foundations(ledger.clone(), 7);
    let next: Arc<dyn writ_core::Signer> = Arc::new(Key::from_seed(base.signer.name(), &[9; 32]));
    let first = Journal::open(base.clone()).await.unwrap();
    first.commit(&first.new_cause(), Batch::of(vec![draft("run/a", 1)])).await.unwrap();
    let by = Actor::system("operator");
    // Whoever asked for it may not any more: the key signs nothing, and can be asked for again.
    let lost: Holds = Arc::new(|| Box::pin(async { Ok(Err("person-09".parse().unwrap())) }));
    let refused = while_held(lost, first.rotate_key(next.clone(), &by)).await.unwrap_err();
    assert!(matches!(refused, RotateError::Commit(CommitError::NotHeld { .. })), "{refused}");
    first.rotate_key(next.clone(), &by).await.unwrap();
    let third = Arc::new(Key::from_seed(base.signer.name(), &[10; 32]));
    assert!(matches!(first.rotate_key(third, &by).await, Err(RotateError::UnderWay)));
    first.commit(&first.new_cause(), Batch::of(vec![draft("run/a", 3)])).await.unwrap();
    // While it goes over, both sign: who knows one of the keys alone believes every checkpoint.
    for size in [3, 4] {
        let note = ledger.checkpoint(Some(size)).await.unwrap().unwrap().note;
        for key in [NoteKey::of(&*base.signer), NoteKey::of(&*next)] {
            Checkpoint::open(&note, base.signer.name(), &key).unwrap();
        }
    }
    drop(first);
    let error = Journal::open(base.clone()).await.err().unwrap().to_string();
    assert!(error.starts_with("the journal was begun with the key"), "{error}");
    let rotated = Journal::open(Foundations { signer: next.clone(), ..base.clone() }).await.unwrap();
    rotated.commit(&rotated.new_cause(), Batch::of(vec![draft("run/a", 2)])).await.unwrap();
    // A witness that was told nothing since before the rotation, and one that was told everything.
    for size in [2, 5] {
        let witness = Arc::new(writ_sim::MemoryWitness::default());
        witness.remember(&ledger.checkpoint(Some(size)).await.unwrap().unwrap().note).unwrap();
        Journal::open(Foundations { signer: next.clone(), witness, ..base.clone() }).await.unwrap();
    }
    for key in [NoteKey::of(&*base.signer), NoteKey::of(&*next)] {
        verify(&*ledger, &Trust { key: Some(key), pins: vec![] }).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_person_says_is_told_with_what_they_said_it_about_until_it_is_erased() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 10).await.unwrap();
    let by = Actor::system("operator");
    let about = journal.commit(&journal.new_cause(), Batch::of(vec![draft("run/a", 1)])).await.unwrap();
    let commitment = say(&journal, "a", &by, "the disk\u{1b}[2J was full").await.unwrap();
    let told = async || {
        let story = why(&journal, "a").await.unwrap().unwrap();
        assert_eq!((story.subject.as_str(), story.then.len()), ("run a", 2));
        story.then[1].text.clone()
    };
    assert_eq!(told().await, "system:operator give reason a: success — “the disk\\u{1b}[2J was full”");
    let said = &journal.stream("said/a").await.unwrap()[0];
    assert_eq!(said.trace_id, about.entries[0].trace_id, "evidence for the run holds it");
    erase(&journal, &Erase::Commitment(commitment), "asked for", &by).await.unwrap();
    assert_eq!(told().await, "system:operator give reason a: success — (erased)");
}

/// A journal of some entries, a copy of its first part, and a witness that has seen all of it.
async fn rolled_back(seed: u64) -> (Foundations, Arc<MemoryLedger>, Checkpoint) {
    let base = foundations(Arc::new(MemoryLedger::new()), seed);
    let journal = Journal::open(base.clone()).await.unwrap();
    let backup = Arc::new(MemoryLedger::new());
    let short =
        Journal::open(Foundations { ledger: backup.clone(), ..foundations(backup.clone(), seed) }).await.unwrap();
    for n in 0..3 {
        journal.commit(&journal.new_cause(), Batch::of(vec![draft("run/a", n)])).await.unwrap();
    }
    short.commit(&short.new_cause(), Batch::of(vec![draft("run/a", 0)])).await.unwrap();
    let note = base.witness.latest().unwrap().unwrap();
    let seen = Checkpoint::open(&note, base.signer.name(), &NoteKey::of(&*base.signer)).unwrap();
    (Foundations { ledger: backup.clone(), ..base }, backup, seen)
}

#[tokio::test]
async fn a_journal_that_was_rolled_back_goes_on_under_another_name_and_cites_both_heads() {
    let (base, ledger, lost) = rolled_back(21).await;
    let refused = Journal::open(base.clone()).await.err().unwrap();
    assert!(refused.to_string().contains("--accept-rollback"), "{refused}");
    let by = Actor::system("restore");
    let same_name: Arc<dyn writ_core::Signer> = Arc::new(Key::from_seed(base.signer.name(), &[9; 32]));
    let unfit = continue_journal(base.clone(), same_name, "the disk died", &by).await;
    assert!(matches!(unfit, Err(ContinueError::Unfit { .. })));
    let next: Arc<dyn writ_core::Signer> = Arc::new(Key::from_seed("writ.test/again", &[9; 32]));
    let accepted = continue_journal(base.clone(), next.clone(), "the disk died", &by).await.unwrap();
    assert_eq!((accepted.witnessed.size, accepted.witnessed.root), (lost.size, lost.root));
    assert_eq!(accepted.found.size, 2);

    // The key so far opens it no more; the new one does, and nothing is left to accept.
    assert!(matches!(Journal::open(base.clone()).await.err().unwrap(), OpenError::Key { .. }));
    let on = Foundations { signer: next.clone(), ..base.clone() };
    let journal = Journal::open(on.clone()).await.unwrap();
    assert_eq!(journal.key(), NoteKey::of(&*next));
    for n in 0..4 {
        journal.commit(&journal.new_cause(), Batch::of(vec![draft("run/b", n)])).await.unwrap();
    }
    drop(journal);
    let again: Arc<dyn writ_core::Signer> = Arc::new(Key::from_seed("writ.test/third", &[11; 32]));
    assert!(matches!(continue_journal(on.clone(), again, "x", &by).await, Err(ContinueError::Sound)));
    // A witness that still remembers what was given up is no alarm; one that has seen something else is.
    let elsewhere = Arc::new(writ_sim::MemoryWitness::default());
    let old = Checkpoint { origin: base.signer.name().into(), ..lost.clone() };
    elsewhere.remember(&old.sign(&[&*base.signer]).unwrap()).unwrap();
    Journal::open(Foundations { witness: elsewhere.clone(), ..on.clone() }).await.unwrap();
    elsewhere.remember(&Checkpoint { size: 99, ..old }.sign(&[&*base.signer]).unwrap()).unwrap();
    let refused = Journal::open(Foundations { witness: elsewhere, ..on }).await.err().unwrap();
    assert!(matches!(refused, OpenError::RolledBack { witnessed: 99, .. }));

    for key in [NoteKey::of(&*base.signer), NoteKey::of(&*next)] {
        let audit = verify(&*ledger, &Trust { key: Some(key), pins: vec![] }).await.unwrap();
        assert_eq!(audit.continued, std::slice::from_ref(&accepted));
    }
}

#[tokio::test]
async fn a_journal_that_is_sound_has_nothing_to_accept() {
    let base = foundations(Arc::new(MemoryLedger::new()), 22);
    drop(Journal::open(base.clone()).await.unwrap());
    let next: Arc<dyn writ_core::Signer> = Arc::new(Key::from_seed("writ.test/again", &[9; 32]));
    let refused = continue_journal(base, next, "x", &Actor::system("restore")).await;
    assert!(matches!(refused, Err(ContinueError::Sound)));
}
