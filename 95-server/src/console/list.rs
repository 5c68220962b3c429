//! Lists, a page at a time, newest first.

use super::words::{Html, escape, segment};
use serde_json::Value;
use writ_core::LedgerError;
use writ_pipeline::Journal;

/// Rows of a page.
pub(crate) const PAGE: usize = 25;

/// A page of something, and where the next one begins.
pub(crate) struct Paged<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Paged<T> {
    /// A page of what was found, which may be one more than a page.
    fn of(mut rows: Vec<T>, key: impl Fn(&T) -> &str) -> Self {
        let next = if rows.len() > PAGE { rows.get(PAGE - 1).map(|last| key(last).to_owned()) } else { None };
        rows.truncate(PAGE);
        Self { rows, next }
    }

    /// The way to what is older, below a list.
    pub(crate) fn older(&self, path: &str, query: &str) -> Html {
        older(path, query, self.next.as_deref())
    }

    /// The way to the next names, below a list by name.
    pub(crate) fn more(&self, path: &str) -> Html {
        way(path, "", "after", self.next.as_deref(), "More")
    }
}

/// The newest documents of a view, before one where one is given.
pub(crate) async fn newest(
    journal: &Journal,
    view: &str,
    before: Option<&str>,
) -> Result<Paged<(String, Value)>, LedgerError> {
    let (docs, _) = journal.docs_back(view, "", before, PAGE + 1).await?;
    Ok(Paged::of(docs, |(key, _)| key))
}

/// The documents of a view by name, after one where one is given.
pub(crate) async fn by_name(
    journal: &Journal,
    view: &str,
    after: Option<&str>,
) -> Result<Paged<(String, Value)>, LedgerError> {
    let (docs, _) = journal.docs(view, "", after, PAGE + 1).await?;
    Ok(Paged::of(docs, |(key, _)| key))
}

/// The newest ids that are filed under something: `run/DEPLOY-WEB-001/`, `incident/web-service-001/`.
pub(crate) async fn filed(journal: &Journal, under: &str, before: Option<&str>) -> Result<Paged<String>, LedgerError> {
    let before = before.map(|before| format!("{under}{before}"));
    let (docs, _) = journal.docs_back("filed", under, before.as_deref(), PAGE + 1).await?;
    let ids = docs.into_iter().filter_map(|(key, _)| key.strip_prefix(under).map(str::to_owned));
    Ok(Paged::of(ids.collect(), |id| id))
}

/// The newest documents of what is not over: of `runs`, `incidents`, `approvals`.
pub(crate) async fn open(journal: &Journal, view: &str, limit: usize) -> Result<Vec<(String, Value)>, LedgerError> {
    let sort = format!("{}/", view.trim_end_matches('s'));
    let found = journal.ledger().views_back("live", &sort, None, limit).await?;
    docs_of(journal, view, found.iter().filter_map(|(key, _)| key.strip_prefix(&sort))).await
}

/// The documents of a view that some ids have; an id without one is left out.
pub(crate) async fn docs_of(
    journal: &Journal,
    view: &str,
    ids: impl Iterator<Item = &str>,
) -> Result<Vec<(String, Value)>, LedgerError> {
    let mut docs = Vec::new();
    for id in ids {
        docs.extend(journal.doc(view, id).await?.map(|doc| (id.to_owned(), doc)));
    }
    Ok(docs)
}

/// The way to what is older; nothing where there is nothing.
pub(crate) fn older(path: &str, query: &str, before: Option<&str>) -> Html {
    way(path, query, "before", before, "Older")
}

/// The same below one of several lists of a page; it leads to that list again.
pub(crate) fn older_of(list: &str, path: &str, query: &str, at: Option<&str>) -> Html {
    on(path, query, (list, at), &format!("#h-{list}"), ("Older", &format!("Pages of {list}")))
}

/// The way to the rest of one of several lists of a page, in whatever order it is.
pub(crate) fn more_of(list: &str, path: &str, query: &str, at: Option<&str>) -> Html {
    on(path, query, (list, at), &format!("#h-{list}"), ("More", &format!("Pages of {list}")))
}

fn way(path: &str, query: &str, name: &str, at: Option<&str>, word: &str) -> Html {
    on(path, query, (name, at), "", (word, "Pages"))
}

fn on(path: &str, query: &str, (name, at): (&str, Option<&str>), part: &str, (word, label): (&str, &str)) -> Html {
    let Some(at) = at else { return Html::default() };
    let query = if query.is_empty() { String::new() } else { format!("{query}&") };
    let to = escape(&format!("{path}?{query}{name}={}{part}", segment(at)));
    Html(format!("<nav class=\"older\" aria-label=\"{label}\"><a href=\"{to}\" rel=\"next\">{word}</a></nav>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_full_leads_to_the_next_and_the_last_one_to_none() {
        let keys = |count: usize| (0..count).map(|at| format!("k{at:03}")).collect::<Vec<_>>();
        let page = Paged::of(keys(PAGE), |key| key);
        assert_eq!((page.rows.len(), page.next), (PAGE, None));
        let page = Paged::of(keys(PAGE + 1), |key| key);
        assert_eq!((page.rows.len(), page.next.as_deref()), (PAGE, Some("k024")));
        assert_eq!(
            page.older("/runs", "intent=a%26b").0,
            "<nav class=\"older\" aria-label=\"Pages\"><a href=\"/runs?intent=a%26b&amp;before=k024\" rel=\"next\">Older</a></nav>"
        );
    }
}
