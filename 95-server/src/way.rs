//! The requests that do what a hint's commands do: whoever asks over HTTP has no terminal at hand.

/// Commands, each with the request that does the same. `ID` is what stands there in the hint; options are passed over.
const WAYS: [(&str, &str, &str); 45] = [
    ("agent get ID", "GET", "/api/v1/agents/{id}"),
    ("agent list", "GET", "/api/v1/agents"),
    ("apply", "POST", "/api/v1/intents"),
    ("approval get ID", "GET", "/api/v1/approvals/{id}"),
    ("approval list", "GET", "/api/v1/approvals"),
    ("approve ID", "POST", "/api/v1/approvals/{id}/approve"),
    ("audit query", "GET", "/api/v1/audit/entries"),
    ("audit verify", "GET", "/api/v1/audit/verify"),
    ("contract list", "GET", "/api/v1/contracts"),
    ("glass end ID", "POST", "/api/v1/break-glass/{id}/end"),
    ("glass list", "GET", "/api/v1/break-glass"),
    ("incident get ID", "GET", "/api/v1/incidents/{id}"),
    ("incident list", "GET", "/api/v1/incidents"),
    ("incident modes", "GET", "/api/v1/modes"),
    ("incident shadows", "GET", "/api/v1/shadow-decisions"),
    ("intent decommission ID", "POST", "/api/v1/intents/{id}/decommission"),
    ("intent get ID", "GET", "/api/v1/intents/{id}"),
    ("intent history ID", "GET", "/api/v1/intents/{id}/history"),
    ("intent list", "GET", "/api/v1/intents"),
    ("person grant ID", "POST", "/api/v1/principals/{id}/roles"),
    ("person links ID", "GET", "/api/v1/principals/{id}/links"),
    ("person list", "GET", "/api/v1/principals"),
    ("plan", "POST", "/api/v1/plan"),
    ("playbook get ID", "GET", "/api/v1/playbooks/{id}"),
    ("playbook list", "GET", "/api/v1/playbooks"),
    ("policy explain", "POST", "/api/v1/policies/explain"),
    ("policy list", "GET", "/api/v1/policies"),
    ("policy test", "POST", "/api/v1/policies/test"),
    ("recommend collect", "POST", "/api/v1/feedback"),
    ("recommend get ID", "GET", "/api/v1/recommendations/{id}"),
    ("recommend list", "GET", "/api/v1/recommendations"),
    ("recommend reject ID", "POST", "/api/v1/recommendations/{id}/reject"),
    ("run cancel ID", "POST", "/api/v1/runs/{id}/cancel"),
    ("run get ID", "GET", "/api/v1/runs/{id}/execution"),
    ("run list", "GET", "/api/v1/runs"),
    ("run pause ID", "POST", "/api/v1/runs/{id}/pause"),
    ("run resolve ID", "POST", "/api/v1/runs/{id}/resolve"),
    ("run resume ID", "POST", "/api/v1/runs/{id}/resume"),
    ("run watch ID", "GET", "/api/v1/runs/{id}/execution"),
    ("standing list", "GET", "/api/v1/standing"),
    ("token issue ID", "POST", "/api/v1/tokens"),
    ("token list", "GET", "/api/v1/tokens"),
    ("validate", "POST", "/api/v1/validate"),
    ("waiver list", "GET", "/api/v1/waivers"),
    ("why ID", "GET", "/api/v1/why/{id}"),
];

/// The requests for the commands that a hint names, in its order: `GET /api/v1/approvals/apr_x`.
pub(crate) fn requests(hint: &str) -> Vec<String> {
    let commands = hint.match_indices("writ ").filter(|(at, _)| {
        // `writ` stands in sentences, too: a command begins the hint, or a quotation, or follows a colon or an `or`.
        let before = hint.get(..*at).unwrap_or_default().trim_end_matches(' ');
        before.is_empty() || before.ends_with(['`', ':', ',']) || before.ends_with(" or")
    });
    let rest = commands.filter_map(|(at, writ)| hint.get(at + writ.len()..));
    let mut found = Vec::new();
    for request in rest.filter_map(|rest| request(rest.split(['`', ',', ';']).next().unwrap_or_default())) {
        if !found.contains(&request) {
            found.push(request);
        }
    }
    found
}

fn request(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    WAYS.iter().find_map(|(known, method, path)| {
        let known: Vec<&str> = known.split(' ').collect();
        let (given, options) = words.split_at_checked(known.len())?;
        let fits = |(known, given): (&&str, &&str)| *known == "ID" || known == given;
        let plain =
            options.first().is_none_or(|option| option.starts_with('-') || option.chars().all(char::is_uppercase));
        if !plain || !known.iter().zip(given).all(fits) {
            return None;
        }
        let id = given.last().filter(|_| known.last() == Some(&"ID")).copied().unwrap_or_default();
        Some(format!("{method} {}", path.replace("{id}", &crate::console::words::segment(id))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::table;
    use std::path::Path;

    #[test]
    fn a_hint_names_the_request_that_does_what_its_command_does() {
        for (hint, told) in [
            ("list them with `writ agent list`", &["GET /api/v1/agents"][..]),
            ("writ why run_x", &["GET /api/v1/why/run_x"]),
            ("see what it does: writ why a/b", &["GET /api/v1/why/a%2Fb"]),
            (
                "follow it with `writ run watch r`, or end it with `writ run cancel r`",
                &["GET /api/v1/runs/r/execution", "POST /api/v1/runs/r/cancel"],
            ),
            ("`writ run resolve r --step s --happened -m REASON`, or `--absent`", &["POST /api/v1/runs/r/resolve"]),
            ("`writ apply -f FILE`", &["POST /api/v1/intents"]),
            ("restart writ, then rotate again", &[]),
            ("the server is writ why not", &[]),
            ("`writ server init`", &[]),
        ] {
            assert_eq!(requests(hint), told, "{hint}");
        }
    }

    #[test]
    fn every_request_that_is_named_is_one_of_the_table() {
        let table = table();
        for (command, method, path) in WAYS {
            let words = |route: &str| route.split('/').filter(|part| !part.starts_with('{')).count();
            let fits = |known: &str| {
                let parts = known.split('/').zip(path.split('/'));
                known.split('/').count() == path.split('/').count()
                    && parts.into_iter().all(|(known, part)| known == part || known.starts_with('{'))
            };
            let known = table.iter().filter(|route| route.method == method && fits(route.path));
            assert!(known.max_by_key(|route| words(route.path)).is_some(), "{command}: {method} {path}");
        }
    }

    /// Commands that hints name and that only a terminal has.
    const LOCAL: [&str; 2] = ["agent key", "audit export"];

    #[test]
    fn every_command_that_a_hint_names_has_its_request() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files: Vec<_> =
            std::fs::read_dir(root.join("api")).unwrap().flatten().map(|entry| entry.path()).collect();
        files.push(root.join("refused.rs"));
        let mut named = 0;
        for file in files.iter().filter(|file| file.is_file()) {
            let source = std::fs::read_to_string(file).unwrap();
            let source = source.split("#[cfg(test)]").next().unwrap();
            for (at, _) in source.match_indices("`writ ").chain(source.match_indices("hint(format!(\"writ ")) {
                let (_, rest) = source.get(at..).unwrap().split_once("writ ").unwrap();
                let command = rest.split(['`', '"', ',', ';']).next().unwrap();
                let typed = command.replace("{what}", "intent").replace(['{', '}'], "");
                if LOCAL.iter().any(|local| typed.starts_with(local)) || !typed.contains(' ') {
                    continue;
                }
                named += 1;
                assert!(request(&typed).is_some(), "{}: `writ {typed}`", file.display());
            }
        }
        assert!(named > 30, "{named}");
    }
}
