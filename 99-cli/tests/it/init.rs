//! The example that `writ init` writes is one that works.

use crate::journey::writ;
use crate::program;
use std::fs;
use writ_bench::Place;

#[test]
fn the_example_that_is_written_validates_and_runs_and_is_never_written_over() {
    let place = Place::new(program()).unwrap();
    let dir = place.files();
    let (name, file) = (dir.to_str().unwrap(), dir.join("intent.yaml"));
    let file = file.to_str().unwrap();
    assert!(writ(&place, &["init", name], 64).contains("has intent.yaml"), "there is another example");
    fs::remove_dir_all(&dir).unwrap();
    writ(&place, &["init", name], 0);
    fs::write(dir.join("agents.yaml"), "mine").unwrap();
    assert!(writ(&place, &["init", name], 64).contains("agents.yaml"));
    assert_eq!(fs::read_to_string(dir.join("agents.yaml")).unwrap(), "mine");
    fs::remove_dir_all(&dir).unwrap();
    writ(&place, &["init", name], 0);

    writ(&place, &["validate", "-f", file], 0);
    assert!(writ(&place, &["policy", "test", name], 0).contains("3 passed, 0 failed"));
    writ(&place, &["plan", "--local", "-f", file], 0);
    let mut dev = place.dev(&[]).unwrap();
    dev.until_up().unwrap();
    assert!(["i-1", "i-2", "lb"].iter().all(|slot| place.alive().contains_key(*slot)), "{}", dev.said());
    assert_eq!(dev.end(), Some(0));
}
