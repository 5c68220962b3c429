//! Every ledger keeps the same promises.

use crate::journeys::told;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use writ_core::{
    Actor, AppendError, Draft, Entry, Erasable, Event as _, Filter, Ledger, Outcome, Report, StoredCheckpoint,
    Timestamp, ViewChange,
};
use writ_pipeline::{
    Batch, Cause, CommitError, Erase, EraseError, Expect, Journal, Span, TokenWish, Trust, decode, erase, people,
    person, revoke_token, some_tokens, text_beside, verify,
};
use writ_sim::{foundations, open_journal};
use writ_store::{MemoryLedger, PostgresLedger, SqliteLedger};

pub(crate) fn draft(stream: &str, n: u64) -> Draft {
    Draft {
        action: if n.is_multiple_of(2) { "restart_instance".into() } else { "probe".into() },
        actor: Actor::system("pipeline"),
        body: json!({"n": n, "text": "部署"}),
        kind: "test.said/1",
        outcome: if n % 150 == 7 { Outcome::Denied } else { Outcome::Success },
        resource: format!("web-service-001/i-{}", n % 3),
        stream: stream.into(),
    }
}

/// Everything that was recorded is found, whether lookups have it or not.
async fn finds_what_was_recorded(ledger: &Arc<dyn Ledger>, journal: &Journal, cause: &Cause, entries: &[Entry]) {
    let read = journal.stream("run/a").await.unwrap();
    assert_eq!(read, entries);
    assert_eq!(ledger.stream("run/a", 598, 10).await.unwrap().len(), 2);
    for (below, length) in [(u64::MAX, 600), (601, 600), (301, 300), (1, 0)] {
        assert_eq!(ledger.length_below(&cause.trace, below).await.unwrap(), length);
        assert_eq!(ledger.version_below("run/a", below).await.unwrap(), length);
    }
    let found = |filter: Filter, limit: usize| {
        let ledger = ledger.clone();
        async move { ledger.query(&filter, limit).await.unwrap().iter().map(|stored| stored.seq).collect::<Vec<_>>() }
    };
    let probes =
        Filter { action: Some("probe".into()), resource: Some("web-service-001/*".into()), ..Filter::default() };
    assert_eq!(found(probes.clone(), 1_000).await.len(), 300);
    let newest = Filter { newest_first: true, from_seq: Some(590), ..probes };
    assert_eq!(found(newest, 3).await, [590, 588, 586]);
    // Where lookups count by versions, too, a range is a range of places.
    let of_stream = |from: u64, to: usize, newest_first: bool| Filter {
        stream: Some("run/a".into()),
        from_seq: Some(from),
        to_time: Some(entries[to].timestamp),
        newest_first,
        ..Filter::default()
    };
    let upto = |to: usize| {
        let before = entries.iter().take_while(move |entry| entry.timestamp < entries[to].timestamp);
        before.map(|entry| entry.seq)
    };
    for to in [0, 1, 299, 300, 301, 599] {
        for from in [0, 1, 2, 299, 300, 301, 600, 601, 700] {
            let wanted: Vec<u64> = upto(to).filter(|seq| *seq >= from).collect();
            assert_eq!(found(of_stream(from, to, false), 1_000).await, wanted, "{from} {to}");
            assert_eq!(found(of_stream(from, to, false), 3).await, wanted[..wanted.len().min(3)], "{from} {to}");
            let mut wanted: Vec<u64> = upto(to).filter(|seq| *seq <= from).collect();
            wanted.reverse();
            assert_eq!(found(of_stream(from, to, true), 1_000).await, wanted, "{from} {to}");
        }
    }
    let newest = Filter { newest_first: true, from_seq: Some(10), kind: Some("test.".into()), ..Filter::default() };
    assert_eq!(found(newest, 1_000).await, (1..=10).rev().collect::<Vec<_>>());
    let refused =
        Filter { newest_first: true, from_seq: Some(308), outcome: Some(Outcome::Denied), ..Filter::default() };
    assert_eq!(found(refused, 2).await, [308, 158]);
    let nobody = Filter { actor: Some("human:pipeline".into()), ..Filter::default() };
    assert!(found(nobody, 1_000).await.is_empty());
    let by_id = Filter { actor: Some("pipeline".into()), outcome: Some(Outcome::Success), ..Filter::default() };
    assert_eq!(found(by_id, 1_000).await.len(), 596);
    for (wanted, count) in [
        (Filter { trace: Some(cause.trace.clone()), ..Filter::default() }, 600),
        (Filter { stream: Some("run/a".into()), from_seq: Some(599), ..Filter::default() }, 2),
        (
            Filter {
                kind: Some("test.said/1".into()),
                resource: Some("web-service-001/i-1".into()),
                ..Filter::default()
            },
            200,
        ),
        (Filter { resource: Some("web-service-001/i-1".into()), ..Filter::default() }, 200),
        (Filter { resource: Some("web-*".into()), ..Filter::default() }, 600),
        (Filter { action: Some("probe".into()), ..Filter::default() }, 300),
        (Filter { outcome: Some(Outcome::Skipped), ..Filter::default() }, 0),
        (Filter { outcome: Some(Outcome::Denied), ..Filter::default() }, 4),
        (Filter { outcome: Some(Outcome::Denied), from_seq: Some(9), ..Filter::default() }, 3),
        (Filter { outcome: Some(Outcome::Denied), action: Some("probe".into()), ..Filter::default() }, 4),
        (Filter { outcome: Some(Outcome::Denied), kind: Some("test.".into()), ..Filter::default() }, 4),
        (
            Filter {
                outcome: Some(Outcome::Denied),
                actor: Some("system:pipeline".into()),
                resource: Some("web-service-001/i-1".into()),
                ..Filter::default()
            },
            4,
        ),
        (Filter { to_time: Some(Timestamp::from_micros(0)), ..Filter::default() }, 0),
        (Filter { from_time: Some(entries[0].timestamp), kind: Some("test.".into()), ..Filter::default() }, 600),
        (Filter { from_time: Some(entries[599].timestamp.plus(Duration::from_secs(1))), ..Filter::default() }, 0),
    ] {
        assert_eq!(found(wanted.clone(), 1_000).await.len(), count, "{wanted:?}");
    }
    let event = entries[5].event_id.to_string();
    assert_eq!(decode(&ledger.by_event(&event).await.unwrap().unwrap()).unwrap(), entries[5]);
    assert_eq!(ledger.by_event("evt_none").await.unwrap(), None);
}

/// Whoever verifies a journal that others write to is not alarmed by what they write.
/// Checkpoints are read by size, up and down, and from a size that has none of its own.
async fn finds_checkpoints(ledger: &dyn Ledger) {
    let up = ledger.checkpoints(0, 100).await.unwrap();
    let sizes = |kept: &[StoredCheckpoint]| kept.iter().map(|kept| kept.size).collect::<Vec<_>>();
    assert!(up.len() > 3 && up.is_sorted_by_key(|kept| kept.size), "{:?}", sizes(&up));
    let down: Vec<_> = up.iter().rev().cloned().collect();
    assert_eq!(ledger.checkpoints_back(None, 100).await.unwrap(), down);
    assert_eq!(ledger.checkpoints_back(None, 2).await.unwrap(), down[..2]);
    assert_eq!(ledger.checkpoints_back(Some(down[1].size), 2).await.unwrap(), down[1..3]);
    // Between 1 and the batch of hundreds nothing was signed.
    assert_eq!(sizes(&ledger.checkpoints_back(Some(300), 100).await.unwrap()), [1]);
    assert_eq!(ledger.checkpoints_back(Some(0), 100).await.unwrap(), []);
    assert_eq!(ledger.checkpoint(None).await.unwrap().as_ref(), down.first());
    assert_eq!(ledger.checkpoints(down[1].size, 100).await.unwrap(), down[..1]);
}

async fn grows_while_it_is_verified(ledger: &Arc<dyn Ledger>, journal: &Journal) {
    let writer = journal.clone();
    let writing = tokio::spawn(async move {
        for n in 0..150 {
            let mut token = draft("principal/p-9", n);
            token.kind = "principal.token_issued/1";
            token.body = json!({"n": n, "principal": "p-9", "token_hash": format!("sha256:{n:064x}")});
            writer.commit(&writer.new_cause(), Batch::of(vec![token])).await.unwrap();
        }
    });
    while !writing.is_finished() {
        verify(&**ledger, &writ_pipeline::Trust::default()).await.unwrap();
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

async fn keeps_its_promises(ledger: Arc<dyn Ledger>) {
    let journal = open_journal(ledger.clone(), 1).await.unwrap();
    let cause = journal.new_cause();

    // Entries come back in order, by stream, trace and filter, before they are reported and after.
    let mut batch = Batch::of((0..600).map(|n| draft("run/a", n)).collect());
    let attached = batch.attach(b"a plan".to_vec());
    let receipt = journal.commit(&cause, batch).await.unwrap();
    assert_eq!((receipt.entries[0].seq, receipt.last_seq()), (1, 600));
    assert_eq!(ledger.attachment(&attached).await.unwrap().unwrap(), b"a plan");
    finds_what_was_recorded(&ledger, &journal, &cause, &receipt.entries).await;
    assert_eq!(journal.reported(601).await, 601);
    assert_eq!(ledger.reported().await.unwrap(), 601);
    finds_what_was_recorded(&ledger, &journal, &cause, &receipt.entries).await;

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
    finds_checkpoints(&*ledger).await;
    let audit = verify(&*ledger, &writ_pipeline::Trust { key: Some(journal.key()), pins: vec![] }).await.unwrap();
    assert_eq!((audit.size, audit.root, audit.attachments), (size, root, 0));

    grows_while_it_is_verified(&ledger, &journal).await;

    // A second writer takes over; the first is refused and stops.
    let second = open_journal(ledger.clone(), 2).await.unwrap();
    assert!(matches!(
        journal.commit(&cause, Batch::of(vec![draft("run/a", 1)])).await,
        Err(CommitError::Closed { .. })
    ));
    assert!(journal.closed().unwrap().contains("moved on without this writer"), "{:?}", journal.closed());
    assert_eq!(second.closed(), None);
    second.commit(&cause, Batch::of(vec![draft("run/a", 2)])).await.unwrap();
    assert_eq!(second.stream("run/a").await.unwrap().len(), 601);

    // A report view trails; whoever has a receipt can wait for it.
    let receipt = second.commit(&cause, Batch::of(vec![draft("agent/x", 3)])).await.unwrap();
    let (docs, as_of) = second.docs("agents", "", None, 10).await.unwrap();
    assert_eq!((docs.len(), docs[0].0.as_str()), (1, "x"));
    assert!(as_of > receipt.last_seq());

    // What a crash leaves unreported is reported at the next start; so is everything when the trail is lost.
    second.commit(&cause, Batch::of(vec![draft("agent/y", 4), draft("approval/z", 5)])).await.unwrap();
    assert!(ledger.view("approvals", "z").await.unwrap().is_some(), "operational views commit with the entries");
    drop(second);
    let whole = |size: u64| {
        let ledger = ledger.clone();
        async move {
            assert_eq!(ledger.reported().await.unwrap(), size);
            let there = ledger.views("agents", "", None, 10).await.unwrap();
            assert_eq!(there.len(), 2);
            let back = ledger.views_back("agents", "", None, 10).await.unwrap();
            assert_eq!(back, there.iter().rev().cloned().collect::<Vec<_>>());
            let before = ledger.views_back("agents", "", Some(&there[1].0), 10).await.unwrap();
            assert_eq!(before, there[..1]);
        }
    };
    let size = ledger.head().await.unwrap().unwrap().size;
    drop(open_journal(ledger.clone(), 3).await.unwrap());
    whole(size).await;
    ledger.report(&Report { from: 0, upto: 0, views: vec![] }).await.unwrap();
    assert_eq!(ledger.views("agents", "", None, 10).await.unwrap(), []);
    let third = open_journal(ledger.clone(), 4).await.unwrap();
    whole(size).await;

    // Somebody who believes in another place is refused, and changes nothing.
    let late = Report { from: 1, upto: 2, views: vec![] };
    assert!(matches!(ledger.report(&late).await, Err(AppendError::Superseded)));

    // Views can be rebuilt to the same documents, while the journal is open.
    let all = || async {
        let mut all = Vec::new();
        for view in ["agents", "approvals", "runs"] {
            all.push(third.docs(view, "", None, 100).await.unwrap().0);
        }
        all
    };
    let before = all().await;
    third.rebuild_views().await.unwrap();
    assert_eq!(all().await, before);
    third.commit(&cause, Batch::of(vec![draft("agent/y", 6)])).await.unwrap();
    assert_ne!(all().await, before);
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
        async move {
            let wish = TokenWish { roles: roles.as_deref(), ..TokenWish::default() };
            writ_pipeline::issue_token(&journal, &ada, &wish, &by).await
        }
    };
    let (all, secret) = issue(None).await.unwrap();
    let (some, other) = issue(Some(vec!["viewer".into()])).await.unwrap();
    assert!(issue(Some(vec!["approver".into()])).await.is_err(), "a token does no more than its person may");
    let holds = async |secret: &str| writ_pipeline::principal_of(&journal, secret).await.unwrap();
    assert_eq!(holds(&secret).await.unwrap().roles, ["viewer", "admin"]);
    assert_eq!(holds(&other).await.unwrap().roles, ["viewer"]);
    let known = tokens_of(&journal).await;
    assert_eq!(known, BTreeSet::from([all.id.clone(), some.id.clone()]));
    let last = revoke_token(&journal, &all.id, &by).await;
    assert!(matches!(last, Err(writ_pipeline::TokenError::Last { .. })));
    revoke_token(&journal, &some.id, &by).await.unwrap();
    assert_eq!(holds(&other).await, None);
    assert!(revoke_token(&journal, &some.id, &by).await.is_err(), "it is gone already");
    assert!(revoke_token(&journal, "", &by).await.is_err());
    journal.rebuild_views().await.unwrap();
    assert_eq!((holds(&other).await, holds(&secret).await.is_some()), (None, true));
}

/// The ids of the tokens that are good.
async fn tokens_of(journal: &Journal) -> BTreeSet<String> {
    let listed = some_tokens(journal, Span::behind(None, 100)).await.unwrap();
    listed.rows.into_iter().map(|token| token.id).collect()
}

#[tokio::test(start_paused = true)]
async fn tokens_and_sessions_end_with_their_time() {
    let journal = open_journal(Arc::new(MemoryLedger::new()), 9).await.unwrap();
    let by = Actor::system("operator");
    let ada = writ_pipeline::enrol_person(&journal, "Ada", &["admin".into()], &by).await.unwrap();
    let hours = |count: u64| Duration::from_secs(count * 3_600);
    let issue = async |span: Option<Duration>| {
        writ_pipeline::issue_token(&journal, &ada, &TokenWish { span, ..TokenWish::default() }, &by).await
    };
    for span in [Duration::ZERO, hours(24 * 3_661)] {
        assert!(matches!(issue(Some(span)).await, Err(writ_pipeline::TokenError::Span { .. })));
    }
    let (lasting, lasts) = issue(None).await.unwrap();
    let (ending, ends) = issue(Some(hours(15))).await.unwrap();
    assert_eq!(ending.expires_at, Some(journal.now().plus(hours(15))));
    let last = revoke_token(&journal, &lasting.id, &by).await;
    assert!(matches!(last, Err(writ_pipeline::TokenError::Last { .. })), "the other one ends by itself");
    let open = async |token: &str| writ_pipeline::open_session(&journal, token).await;
    let (long, first) = (open(&lasts).await.unwrap(), open(&ends).await.unwrap());
    tokio::time::advance(hours(11)).await;
    let second = open(&ends).await.unwrap();
    assert_eq!(second.expires_at, ending.expires_at.unwrap(), "no session outlives what opened it");
    // Whether the two tokens and the three sessions are somebody's.
    let good = async || {
        let token = async |token: &str| writ_pipeline::principal_of(&journal, token).await.unwrap().is_some();
        let session = async |held: &writ_pipeline::Session| {
            writ_pipeline::session_of(&journal, &held.secret).await.unwrap().is_some()
        };
        [token(&lasts).await, token(&ends).await, session(&long).await, session(&first).await, session(&second).await]
    };
    assert_eq!(good().await, [true, true, true, true, true]);
    tokio::time::advance(hours(1)).await;
    assert_eq!(good().await, [true, true, false, false, true], "a session lasts twelve hours");
    tokio::time::advance(hours(3)).await;
    assert_eq!(good().await, [true, false, false, false, false]);
    let known = tokens_of(&journal).await;
    assert_eq!(known, BTreeSet::from([lasting.id]));
    assert!(open(&ends).await.is_err());
    journal.rebuild_views().await.unwrap();
    assert_eq!(good().await, [true, false, false, false, false]);
}

#[tokio::test]
async fn a_changed_lookup_is_noticed_and_a_lost_trail_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let changes = [
        "DELETE FROM lookup WHERE term = 'a:probe' AND ord = 4",
        "UPDATE lookup SET seq = 3 WHERE term = 's:run/a' AND ord = 6",
        "INSERT INTO lookup (term, ord, seq) VALUES ('a:never_done', 3, 3)",
    ];
    for (seed, change) in (1..).zip(changes) {
        let ledger = Arc::new(SqliteLedger::open(&path).await.unwrap());
        let journal = open_journal(ledger.clone(), seed).await.unwrap();
        let batch = Batch::of((0..20).map(|n| draft("run/a", n)).collect());
        let receipt = journal.commit(&journal.new_cause(), batch).await.unwrap();
        journal.reported(receipt.last_seq() + 1).await;
        verify(&*ledger, &Trust::default()).await.unwrap();
        let url = format!("sqlite://{}", dir.path().join("journal.trail").display());
        let mut raw = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
        assert_eq!(sqlx::query(change).execute(&mut raw).await.unwrap().rows_affected(), 1);
        let error = verify(&*ledger, &Trust::default()).await.unwrap_err().to_string();
        assert!(error.contains("the lookups kept beside the entries"), "{error}");
        journal.rebuild_views().await.unwrap();
        verify(&*ledger, &Trust::default()).await.unwrap();
        drop(journal);
        ledger.close().await;
        drop(ledger);
        tokio::task::yield_now().await;
        for end in ["", "-wal", "-shm"] {
            drop(std::fs::remove_file(dir.path().join(format!("journal.trail{end}"))));
        }
    }
    // Another journal's trail is not believed.
    let (one, other) = (dir.path().join("one.db"), dir.path().join("other.db"));
    for (path, count) in [(&one, 7), (&other, 9)] {
        let ledger = Arc::new(SqliteLedger::open(path).await.unwrap());
        let journal = open_journal(ledger.clone(), count).await.unwrap();
        let batch = Batch::of((0..count).map(|n| draft("agent/a", n)).collect());
        let receipt = journal.commit(&journal.new_cause(), batch).await.unwrap();
        journal.reported(receipt.last_seq() + 1).await;
        ledger.close().await;
    }
    std::fs::copy(other.with_extension("trail"), one.with_extension("trail")).unwrap();
    tokio::task::yield_now().await;
    let ledger = Arc::new(SqliteLedger::open(&one).await.unwrap());
    assert_eq!(ledger.reported().await.unwrap(), 0);
    assert_eq!(ledger.stream("agent/a", 0, 100).await.unwrap().len(), 7);
    let journal = open_journal(ledger.clone(), 7).await.unwrap();
    assert_eq!(journal.stream("agent/a").await.unwrap().len(), 7);
    verify(&*ledger, &Trust::default()).await.unwrap();
}

#[tokio::test]
async fn what_stands_in_the_trails_place_is_replaced_or_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (path, trail) = (dir.path().join("journal.db"), dir.path().join("journal.trail"));
    let ledger = Arc::new(SqliteLedger::open(&path).await.unwrap());
    let journal = open_journal(ledger.clone(), 1).await.unwrap();
    let batch = Batch::of((0..20).map(|n| draft("run/a", n)).collect());
    let receipt = journal.commit(&journal.new_cause(), batch).await.unwrap();
    journal.reported(receipt.last_seq() + 1).await;
    drop(journal);
    ledger.close().await;
    drop(ledger);
    let open = || tokio::time::timeout(std::time::Duration::from_secs(5), SqliteLedger::open(&path));
    for damage in ["garbage", "a directory", "half of it"] {
        tokio::task::yield_now().await;
        let whole = std::fs::read(&trail).unwrap();
        std::fs::remove_file(&trail).unwrap();
        match damage {
            "garbage" => std::fs::write(&trail, [0xa5; 9_000]).unwrap(),
            "a directory" => std::fs::create_dir(&trail).unwrap(),
            _ => std::fs::write(&trail, &whole[..5_000]).unwrap(),
        }
        let ledger = Arc::new(open().await.expect("at once").unwrap());
        assert_eq!(ledger.reported().await.unwrap(), 0, "{damage}");
        let journal = open_journal(ledger.clone(), 1).await.unwrap();
        assert_eq!(journal.stream("run/a").await.unwrap().len(), 20, "{damage}");
        verify(&*ledger, &Trust::default()).await.unwrap();
        drop(journal);
        ledger.close().await;
    }
    tokio::task::yield_now().await;
    std::fs::remove_file(&trail).unwrap();
    std::fs::create_dir_all(trail.join("somebody's")).unwrap();
    let error = open().await.expect("at once").unwrap_err();
    let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(told.contains("journal.trail") && told.contains("remove it and start again"), "{told}");
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

#[tokio::test]
async fn documents_that_an_older_program_wrote_are_made_anew_those_too_that_decisions_read() {
    let ledger = Arc::new(MemoryLedger::new());
    let journal = open_journal(ledger.clone(), 9).await.unwrap();
    let taken: Vec<String> = (0..40).map(|at| format!("web-service-001/i-{at}")).collect();
    let said = Draft {
        body: json!({"to": "degraded", "taken_away": taken}),
        kind: "intent.moved/1",
        ..draft("intent/WEB", 1)
    };
    journal.commit(&journal.new_cause(), Batch::of(vec![said])).await.unwrap();
    let size = *journal.size().borrow();
    journal.reported(size).await;
    let whole = journal.doc("intents", "WEB").await.unwrap().unwrap();
    assert_eq!(whole["taken_away"], json!(taken));
    // What such a program kept of so long a list was nothing.
    let old = |view, key: &str, doc: &str| ViewChange { doc: Some(doc.into()), key: key.into(), view };
    assert!(ledger.rebuild(vec![old("intents", "WEB", r#"{"to": "degraded"}"#)], size).await.unwrap());
    let shape = vec![old("trail", "shape", "4")];
    ledger.report(&Report { from: size, upto: size, views: shape }).await.unwrap();
    assert_eq!(journal.doc("intents", "WEB").await.unwrap(), Some(json!({"to": "degraded"})));
    let journal = open_journal(ledger, 9).await.unwrap();
    assert_eq!(journal.doc("intents", "WEB").await.unwrap(), Some(whole));
}
