//! Every ledger keeps the same promises.

use crate::journeys::told;
use serde_json::json;
use std::sync::Arc;
use writ_core::{Actor, Draft, Erasable, Event as _, Filter, Ledger, Outcome, Timestamp};
use writ_pipeline::{
    Batch, CommitError, Erase, EraseError, Expect, Journal, decode, erase, people, person, revoke_token, text_beside,
    tokens, verify,
};
use writ_sim::{foundations, open_journal};
use writ_store::{MemoryLedger, PostgresLedger, SqliteLedger};

pub(crate) fn draft(stream: &str, n: u64) -> Draft {
    Draft {
        action: if n.is_multiple_of(2) { "restart_instance".into() } else { "probe".into() },
        actor: Actor::system("pipeline"),
        body: json!({"n": n, "text": "部署"}),
        kind: "test.said/1",
        outcome: Outcome::Success,
        resource: format!("web-service-001/i-{}", n % 3),
        stream: stream.into(),
    }
}

async fn keeps_its_promises(ledger: Arc<dyn Ledger>) {
    let journal = open_journal(ledger.clone(), 1).await.unwrap();
    let cause = journal.new_cause();

    // Entries come back in order, by stream, trace and filter, and the whole verifies.
    let mut batch = Batch::of((0..600).map(|n| draft("run/a", n)).collect());
    let attached = batch.attach(b"a plan".to_vec());
    let receipt = journal.commit(&cause, batch).await.unwrap();
    assert_eq!((receipt.entries[0].seq, receipt.last_seq()), (1, 600));
    assert_eq!(ledger.attachment(&attached).await.unwrap().unwrap(), b"a plan");
    let read = journal.stream("run/a").await.unwrap();
    assert_eq!(read, receipt.entries);
    assert_eq!(ledger.trace_length(&cause.trace).await.unwrap(), 600);
    assert_eq!(ledger.stream_version("run/a").await.unwrap(), 600);
    let found = |filter: Filter| {
        let ledger = ledger.clone();
        async move { ledger.query(&filter, 1_000).await.unwrap().iter().map(|stored| stored.seq).collect::<Vec<_>>() }
    };
    let probes =
        Filter { action: Some("probe".into()), resource: Some("web-service-001/*".into()), ..Filter::default() };
    assert_eq!(found(probes).await.len(), 300);
    let newest = Filter { newest_first: true, from_seq: Some(10), kind: Some("test.".into()), ..Filter::default() };
    assert_eq!(found(newest).await, (1..=10).rev().collect::<Vec<_>>());
    let nobody = Filter { actor: Some("human:pipeline".into()), ..Filter::default() };
    assert!(found(nobody).await.is_empty());
    let by_id = Filter { actor: Some("pipeline".into()), outcome: Some(Outcome::Success), ..Filter::default() };
    assert_eq!(found(by_id).await.len(), 600);
    let before = Filter { to_time: Some(Timestamp::from_micros(0)), ..Filter::default() };
    assert!(found(before).await.is_empty());
    let event = receipt.entries[5].event_id.to_string();
    assert_eq!(decode(&ledger.by_event(&event).await.unwrap().unwrap()).unwrap(), receipt.entries[5]);

    // A stale caller fails alone: its neighbour in the same group goes in.
    let stale =
        Batch { expects: vec![Expect { stream: "run/a".into(), version: 599 }], ..Batch::of(vec![draft("run/a", 0)]) };
    let fresh =
        Batch { expects: vec![Expect { stream: "run/b".into(), version: 0 }], ..Batch::of(vec![draft("run/b", 0)]) };
    let (stale, fresh) = tokio::join!(journal.commit(&cause, stale), journal.commit(&cause, fresh));
    assert!(matches!(stale, Err(CommitError::Stale { expected: 599, found: 600, .. })));
    assert_eq!(fresh.unwrap().entries[0].version, 1);

    // A text beside the journal is kept until it is erased; that it was is an entry, and nothing else changes.
    let (salt, bytes) = ([3; 32], b"call Bob under 555".to_vec());
    let commitment = writ_seal::salted(&salt, &bytes);
    let mut said = draft("run/b", 1);
    said.body = json!({"erasables": {"reason": commitment}});
    let mut batch = Batch::of(vec![said]);
    let text = Erasable { commitment, salt, bytes };
    batch.erasables.push(text.clone());
    journal.commit(&cause, batch).await.unwrap();
    assert_eq!(ledger.erasable(&commitment).await.unwrap(), Some(text));
    let (what, by) = (Erase::Commitment(commitment), Actor::system("operator"));
    assert!(matches!(erase(&journal, &what, "call bob under 555 no more", &by).await, Err(EraseError::Repeats)));
    assert_eq!(erase(&journal, &what, "asked for", &by).await.unwrap(), [commitment]);
    assert!(matches!(erase(&journal, &what, "asked for", &by).await, Err(EraseError::Nothing { .. })));
    assert_eq!(ledger.erasable(&commitment).await.unwrap(), None);
    assert!(!ledger.erase(&commitment).await.unwrap());
    assert_eq!(text_beside(&*ledger, &commitment).await.unwrap(), "(erased)");

    // Proofs hold at every size that was signed.
    let size = ledger.head().await.unwrap().unwrap().size;
    let root = ledger.head().await.unwrap().unwrap().root;
    for seq in [0, 1, 255, 256, 600] {
        let leaf = ledger.entries(seq, 1).await.unwrap()[0].leaf;
        let proof = journal.inclusion(seq, size).await.unwrap();
        assert!(writ_audit::verify_inclusion(leaf, seq, size, root, &proof), "{seq}");
    }
    let audit = verify(&*ledger, &writ_pipeline::Trust { key: Some(journal.key()), pins: vec![] }).await.unwrap();
    assert_eq!((audit.size, audit.root, audit.attachments), (size, root, 0));

    // A second writer takes over; the first is refused and stops.
    let second = open_journal(ledger.clone(), 2).await.unwrap();
    assert!(matches!(
        journal.commit(&cause, Batch::of(vec![draft("run/a", 1)])).await,
        Err(CommitError::Closed { .. })
    ));
    second.commit(&cause, Batch::of(vec![draft("run/a", 2)])).await.unwrap();
    assert_eq!(second.stream("run/a").await.unwrap().len(), 601);

    // Views can be rebuilt to the same documents.
    second.commit(&cause, Batch::of(vec![draft("agent/x", 3)])).await.unwrap();
    let doc = second.doc("agents", "x").await.unwrap();
    assert!(doc.is_some());
    second.rebuild_views().await.unwrap();
    assert_eq!(second.doc("agents", "x").await.unwrap(), doc);
    verify(&*ledger, &writ_pipeline::Trust::default()).await.unwrap();
}

#[tokio::test]
async fn memory_keeps_its_promises() {
    keeps_its_promises(Arc::new(MemoryLedger::new())).await;
}

#[tokio::test]
async fn sqlite_keeps_its_promises() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(&dir.path().join("journal.db")).await.unwrap();
    keeps_its_promises(Arc::new(ledger)).await;
}

/// The server that `WRIT_TEST_POSTGRES` names; without one the test says so, or fails where real parts are required.
#[tokio::test]
async fn postgres_keeps_its_promises() {
    let Some(url) = told("WRIT_TEST_POSTGRES") else {
        assert!(told("WRIT_REQUIRE_REAL").is_none(), "WRIT_TEST_POSTGRES names no server");
        println!("skipped: WRIT_TEST_POSTGRES names no server");
        return;
    };
    let schema = format!("writ_test_{}", std::process::id());
    let ledger = Arc::new(PostgresLedger::open(&url, &schema).await.unwrap());
    keeps_its_promises(ledger.clone()).await;
    ledger.close().await;
    let mut admin = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    sqlx::query(drop).execute(&mut admin).await.unwrap();
}

/// Every file of a directory that holds a text.
fn holding(dir: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    };
    files.filter(holds).collect()
}

#[tokio::test]
async fn what_is_erased_is_in_no_file_any_more_even_if_only_the_entry_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let ledger = Arc::new(SqliteLedger::open(&path).await.unwrap());
    let base = foundations(ledger.clone(), 8);
    let journal = Journal::open(base.clone()).await.unwrap();
    let by = Actor::system("operator");
    let names = ["Ada Quintessa Lovelace", "Grace Murray Hopperton"];
    for name in names {
        writ_pipeline::enrol_person(&journal, name, &["admin".into()], &by).await.unwrap();
    }
    assert!(!holding(dir.path(), names[0]).is_empty());
    let who = |at: usize| format!("person-{:02}", at + 1).parse().unwrap();
    erase(&journal, &Erase::Principal(who(0)), "asked for", &by).await.unwrap();
    assert_eq!(holding(dir.path(), names[0]), Vec::<std::path::PathBuf>::new());
    assert!(!holding(dir.path(), names[1]).is_empty());
    let known: Vec<String> = people(&journal).await.unwrap().into_iter().map(|person| person.name).collect();
    assert_eq!(known, ["(erased)", names[1]]);
    assert!(person(&journal, "(erased)").await.is_err());

    // The process ended between the entry and the deed: the next start does it.
    let commitment = writ_audit::erasables_of(&journal.stream("principal/person-02").await.unwrap()[0])[0];
    let said = writ_audit::AuditEvent::Erased { commitment, reason: "asked for".into() };
    journal.commit(&journal.new_cause(), Batch::of(vec![said.draft(&by)])).await.unwrap();
    drop(journal);
    let journal = Journal::open(base).await.unwrap();
    assert_eq!(holding(dir.path(), names[1]), Vec::<std::path::PathBuf>::new());
    verify(&*ledger, &writ_pipeline::Trust { key: Some(journal.key()), pins: vec![] }).await.unwrap();
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked_and_the_last_that_administers_is_kept() {
    let ledger = Arc::new(MemoryLedger::new());
    let journal = open_journal(ledger, 9).await.unwrap();
    let by = Actor::system("operator");
    let ada = writ_pipeline::enrol_person(&journal, "Ada", &["viewer".into(), "admin".into()], &by).await.unwrap();
    assert!(writ_pipeline::enrol_person(&journal, "Eve", &["Admin".into()], &by).await.is_err());
    let issue = |roles: Option<Vec<String>>| {
        let (journal, ada, by) = (journal.clone(), ada.clone(), by.clone());
        async move { writ_pipeline::issue_token(&journal, &ada, roles.as_deref(), &by).await }
    };
    let (all, secret) = issue(None).await.unwrap();
    let (some, other) = issue(Some(vec!["viewer".into()])).await.unwrap();
    assert!(issue(Some(vec!["approver".into()])).await.is_err(), "a token does no more than its person may");
    let holds = async |secret: &str| writ_pipeline::principal_of(&journal, secret).await.unwrap();
    assert_eq!(holds(&secret).await.unwrap().roles, ["viewer", "admin"]);
    assert_eq!(holds(&other).await.unwrap().roles, ["viewer"]);
    assert_eq!(tokens(&journal).await.unwrap(), [all.clone(), some.clone()]);
    let last = revoke_token(&journal, &all.id, &by).await;
    assert!(matches!(last, Err(writ_pipeline::TokenError::Last { .. })));
    revoke_token(&journal, &some.id, &by).await.unwrap();
    assert_eq!(holds(&other).await, None);
    assert!(revoke_token(&journal, &some.id, &by).await.is_err(), "it is gone already");
    assert!(revoke_token(&journal, "", &by).await.is_err());
    journal.rebuild_views().await.unwrap();
    assert_eq!((holds(&other).await, holds(&secret).await.is_some()), (None, true));
}

#[tokio::test]
async fn a_second_process_is_told_that_the_journal_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let first = SqliteLedger::open(&path).await.unwrap();
    let error = SqliteLedger::open(&path).await.unwrap_err().to_string();
    assert!(error.ends_with("journal.db is held by another process"), "{error}");
    drop(first);
    SqliteLedger::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_newer_database_and_a_damaged_one_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    drop(SqliteLedger::open(&path).await.unwrap());
    let url = format!("sqlite://{}", path.display());
    let mut raw = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::query("PRAGMA user_version = 99").execute(&mut raw).await.unwrap();
    drop(raw);
    let error = SqliteLedger::open(&path).await.unwrap_err().to_string();
    assert!(error.contains("was written by a newer writ (schema 99"), "{error}");
    let broken = dir.path().join("broken.db");
    std::fs::write(&broken, vec![b'x'; 8_192]).unwrap();
    let error = SqliteLedger::open(&broken).await.unwrap_err();
    assert!(error.to_string().contains("broken.db"), "{error}");
}

#[tokio::test]
async fn a_rolled_back_or_forked_journal_refuses_to_sign() {
    let (old, new) = (Arc::new(MemoryLedger::new()), Arc::new(MemoryLedger::new()));
    let base = foundations(new.clone(), 3);
    let journal = Journal::open(base.clone()).await.unwrap();
    journal.commit(&journal.new_cause(), Batch::of(vec![draft("run/a", 1)])).await.unwrap();
    let behind = writ_pipeline::Foundations { ledger: old.clone(), ..base.clone() };
    let error = Journal::open(behind).await.err().unwrap().to_string();
    assert!(error.contains("the witness has seen 2 entries, there are 0"), "{error}");
    let other = open_journal(old.clone(), 4).await.unwrap();
    other.commit(&other.new_cause(), Batch::of(vec![draft("run/b", 1), draft("run/b", 2)])).await.unwrap();
    let forked = writ_pipeline::Foundations { ledger: old, ..base };
    let error = Journal::open(forked).await.err().unwrap().to_string();
    assert!(error.contains("has forked"), "{error}");
}
