use crate::workspace;
use writ_policy::Bundle;
use writ_text::{Limits, Problems, read};

/// Each file under `tests/cases` holds documents of `policy` (a file's text) and the `problems` that loading it must give, or the
/// `lints`.
#[test]
fn broken_bundles_are_refused_whole_with_every_problem_at_its_place() {
    let mut cases = 0;
    for entry in std::fs::read_dir(workspace("10-policy/tests/cases")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let problems = Problems::new();
        let node = read(&name, &std::fs::read(&path).unwrap(), &Limits::default()).unwrap();
        for case in node.items(&problems).unwrap() {
            let policy = case.get("policy").unwrap().text(&problems).unwrap();
            let wanted = |key: &str| case.get(key).map(|list| list.texts(&problems).unwrap());
            let (found, lints) = match Bundle::load(&[("p.yaml", policy.as_bytes())]) {
                Ok(bundle) => (Vec::new(), bundle.lints().iter().map(ToString::to_string).collect()),
                Err(problems) => (problems.iter().map(ToString::to_string).collect(), Vec::new()),
            };
            assert_eq!(found, wanted("problems").unwrap_or_default(), "{}\n{policy}", case.at);
            let lints: Vec<String> = lints;
            assert_eq!(lints, wanted("lints").unwrap_or_default(), "{}\n{policy}", case.at);
            cases += 1;
        }
    }
    assert!(cases >= 20, "{cases}");
}

#[test]
fn ids_are_unique_over_all_files_and_one_broken_file_refuses_all() {
    let rule = |id: &str| format!("rules: [{{id: {id}, stage: intent, rule: 'maintenance == false'}}]").into_bytes();
    let (a, b) = (rule("A"), rule("A"));
    let told: Vec<String> =
        Bundle::load(&[("b.yaml", &b), ("a.yaml", &a)]).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["b.yaml:1:9: the id `A` is taken by the rule at a.yaml:1:9; give each rule its own id"]);
    assert!(Bundle::load(&[("a.yaml", &a), ("c.yaml", b"rules: [{id: }]")]).is_err());
    assert_eq!(Bundle::load(&[]).unwrap().len(), 0);
}

#[test]
fn the_digest_is_of_names_and_contents_and_not_of_order() {
    let rule = |id: &str| format!("rules: [{{id: {id}, stage: intent, rule: 'maintenance == false'}}]").into_bytes();
    let (a, b) = (rule("A"), rule("B"));
    let one = Bundle::load(&[("a.yaml", &a), ("b.yaml", &b)]).unwrap();
    let other = Bundle::load(&[("b.yaml", &b), ("a.yaml", &a)]).unwrap();
    assert_eq!(one.digest(), other.digest());
    assert_ne!(one.digest(), Bundle::load(&[("a.yaml", &b), ("b.yaml", &a)]).unwrap().digest());
}
